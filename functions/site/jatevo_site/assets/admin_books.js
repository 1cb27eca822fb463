// @ts-check
// A day's books of all accounts: what was charged, what it cost, what is left of it, and what was risked.
import { admin, attempt, nothing, short } from "./admin_api.js";
import { byId, field, h } from "./dom.js";
import { dollars, grouped, nano, total } from "./money.js";
import { lastDays } from "./time.js";

const PAGE = 100;
const MONEY = /** @type {const} */ (["charge_usd", "cost_usd", "margin_usd", "overrun_usd", "exposure_usd"]);

/** @typedef {{name: string, requests: number, [money: string]: any}} Line */

/** What is shown so far. @type {Line[]} */
let lines = [];

/**
 * @param {string} day
 * @param {string | null} after
 * @returns {Promise<{found: Line[], next: string | null}>} a page of accounts, with what each came to
 */
async function page(day, after) {
  const query = `limit=${PAGE}${after ? `&after=${encodeURIComponent(after)}` : ""}`;
  const [{ accounts }, statements] = await Promise.all([admin(`accounts?${query}`), admin(`statements?day=${encodeURIComponent(day)}&${query}`)]);
  const names = new Map(accounts.map((/** @type {any} */ account) => [account.account_id, account.name]));
  const found = statements.accounts.map((/** @type {any} */ each) => ({ name: names.get(each.account_id) ?? each.account_id, ...each.total }));
  return { found, next: statements.next };
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
    ...MONEY.map((of) => h("td", { class: of === "exposure_usd" || of === "overrun_usd" ? risk(line[of]) : "n" }, dollars(line[of]))),
  );

/** @param {string} amount */
const risk = (amount) => (nano(amount) > 0n ? "n risk" : "n");

/** @param {string | null} after */
export async function showBooks(after = null) {
  const day = field("books-day");
  if (!day.value) day.value = lastDays(1)[0] ?? "";
  const { found, next } = await page(day.value, after);
  lines = after === null ? found : [...lines, ...found];
  /** @type {Line} */
  const all = { name: "", requests: lines.reduce((sum, line) => sum + line.requests, 0) };
  for (const of of MONEY) all[of] = total(lines.map((line) => line[of]));
  const words = next === null ? "All accounts" : "The accounts so far";
  byId("books").replaceChildren(...(lines.length ? lines.map((line) => row(line, short(line.name))) : [nothing("No requests on this day.", 7)]));
  byId("books-total").replaceChildren(row(all, h("span", {}, words)));
  byId("more-books").hidden = next === null;
  byId("more-books").onclick = () => attempt(() => showBooks(next));
}

export function prepareBooks() {
  byId("books-day").addEventListener("change", () => attempt(() => showBooks()));
}
