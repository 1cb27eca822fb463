// @ts-check
// The admin API, asked with the operator's token, which stays in this page's memory; and the parts that its tables share.
import { byId, h, notice } from "./dom.js";
import { Refusal, json } from "./http.js";

let token = "";

/**
 * Ask with this token from now on.
 * @param {string} given
 */
export function use(given) {
  token = given;
}

/**
 * @param {string} path below /admin/v1
 * @param {{method?: string, body?: unknown}} [options]
 */
export const admin = (path, options = {}) => json(`admin/v1/${path}`, { ...options, key: token });

/** @param {string} text */
export const done = (text) => notice(byId("notice"), text, "good");

/**
 * Work, and say what went wrong if it did.
 * @param {() => Promise<unknown>} work
 * @returns {Promise<boolean>} whether it was done
 */
export async function attempt(work) {
  notice(byId("notice"), null);
  try {
    await work();
    return true;
  } catch (error) {
    notice(byId("notice"), error instanceof Refusal ? error.message : "Something went wrong. Try again.");
    return false;
  }
}

/**
 * @param {string} label
 * @param {string} about
 * @param {() => Promise<unknown>} work
 * @param {string} [tone]
 */
export const action = (label, about, work, tone = "second") =>
  h("button", { type: "button", class: `slim ${tone}`, "aria-label": `${label} ${about}`, onclick: () => attempt(work) }, label);

/** @param {boolean} good @param {string} yes @param {string} no */
export const pill = (good, yes, no) => h("span", { class: `pill ${good ? "good" : "bad"}` }, good ? yes : no);

/** @param {string} term @param {string} text */
export const part = (term, text) => h("div", {}, h("dt", {}, term), h("dd", {}, text));

/** @param {string} text @param {number} columns */
export const nothing = (text, columns) => h("tr", { class: "waiting" }, h("td", { colspan: columns }, text));

/**
 * A name that may be long, on one line.
 * @param {string} text
 */
export const short = (text) => h("span", { class: "short", title: text }, text);
