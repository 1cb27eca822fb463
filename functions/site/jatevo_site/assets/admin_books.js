// @ts-check
// Today's books of all accounts: what was charged, what it cost, what is left of it, and what was risked.
import { admin, attempt, nothing, short } from "./admin_api.js";
import { byId, h } from "./dom.js";
import { dollars, grouped, nano, total } from "./money.js";

const PAGE = 20;
const AT_ONCE = 5;
const MONEY = /** @type {const} */ (["charge_usd", "cost_usd", "margin_usd", "overrun_usd", "exposure_usd"]);

/** @typedef {{name: string, requests: number, [money: string]: any}} Line */

/** What is shown so far. @type {Line[]} */
let lines = [];

/**
 * @param {any[]} accounts
 * @returns {Promise<Line[]>}
 */
async function statements(accounts) {
  const found = [];
  for (let from = 0; from < accounts.length; from += AT_ONCE) {
    const some = accounts.slice(from, from + AT_ONCE);
    const read = await Promise.all(some.map((account) => admin(`accounts/${encodeURIComponent(account.account_id)}/statement`)));
    found.push(...read.map((statement, index) => ({ name: some[index].name, ...statement.total })));
  }
  return found;
}

/**
 * @param {Line} line
 * @param {Node} name
 */
const row = (line, name) =>
  h(
    "tr",
    {},
    h("th", { scope: "row" }, name),
    h("td", { class: "n" }, grouped(line.requests)),
    ...MONEY.map((field) => h("td", { class: field === "exposure_usd" || field === "overrun_usd" ? risk(line[field]) : "n" }, dollars(line[field]))),
  );

/** @param {string} amount */
const risk = (amount) => (nano(amount) > 0n ? "n risk" : "n");

/** @param {string | null} after */
export async function showBooks(after = null) {
  if (after === null) lines = [];
  const page = await admin(`accounts?limit=${PAGE}${after ? `&after=${encodeURIComponent(after)}` : ""}`);
  lines.push(...(await statements(page.accounts)));
  /** @type {Line} */
  const all = { name: "", requests: lines.reduce((sum, line) => sum + line.requests, 0) };
  for (const field of MONEY) all[field] = total(lines.map((line) => line[field]));
  const words = page.next === null ? "All accounts" : `The first ${grouped(lines.length)} accounts`;
  byId("books").replaceChildren(...(lines.length ? lines.map((line) => row(line, short(line.name))) : [nothing("No accounts yet.", 7)]));
  byId("books-total").replaceChildren(row(all, h("span", {}, words)));
  byId("more-books").hidden = page.next === null;
  byId("more-books").onclick = () => attempt(() => showBooks(page.next));
}
