// @ts-check
// Accounts: their limits, today's counters and books, their keys; new ones of both.
import { action, admin, attempt, done, nothing, part, pill, short } from "./admin_api.js";
import { byId, copies, field, h } from "./dom.js";
import { dollars, grouped } from "./money.js";

/** The account that is shown. @type {any} */
let shown = null;

/** @param {any} account */
function accountRow(account) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, short(account.name)),
    h("td", {}, h("code", {}, account.account_id)),
    h("td", {}, account.limits_from === "holdings" ? "Holdings" : "Operator"),
    h("td", { class: "n" }, grouped(account.requests_per_day)),
    h("td", { class: "n" }, dollars(account.budget_usd_per_day)),
    h("td", {}, pill(account.enabled, "Enabled", "Stopped")),
    h("td", {}, h("div", { class: "row-actions" }, action("Open", account.name, () => openAccount(account.account_id)))),
  );
}

/** @param {string | null} after */
export async function showAccounts(after = null) {
  const page = await admin(`accounts?limit=50${after ? `&after=${encodeURIComponent(after)}` : ""}`);
  const rows = page.accounts.map(accountRow);
  if (after) byId("accounts").append(...rows);
  else byId("accounts").replaceChildren(...(rows.length ? rows : [nothing("No accounts yet.", 7)]));
  byId("more").hidden = page.next === null;
  byId("more").onclick = () => attempt(() => showAccounts(page.next));
}

/** @param {string} id */
async function showAccount(id) {
  const path = `accounts/${encodeURIComponent(id)}`;
  const [account, keys, window, statement] = await Promise.all([
    admin(path),
    admin(`${path}/keys`),
    admin(`${path}/window`),
    admin(`${path}/statement`),
  ]);
  shown = account;
  byId("account-title").replaceChildren(short(account.name), h("code", { class: "muted small" }, account.account_id));
  byId("account-stop").textContent = account.enabled ? "Stop the account" : "Let it go on";
  byId("account-requests").replaceChildren(
    grouped(window.requests_limit - window.requests_left),
    h("small", {}, ` / ${grouped(window.requests_limit)} daily`),
  );
  byId("account-budget").replaceChildren(dollars(window.settled_usd), h("small", {}, ` / ${dollars(window.budget_limit_usd)} daily`));
  byId("account-books").replaceChildren(...books(window, statement.total));
  byId("account-keys").replaceChildren(...(keys.keys.length ? keys.keys.map(keyRow) : [nothing("No keys.", 5)]));
  byId("limits-note").textContent =
    account.limits_from === "holdings"
      ? "These limits come from what the account's wallets hold. Limits that you set here stay until it goes back to them."
      : "An operator has set these limits.";
  byId("limits-holdings").hidden = account.limits_from === "holdings";
  field("limit-requests").value = String(account.requests_per_day);
  field("limit-budget").value = account.budget_usd_per_day;
  byId("account").hidden = false;
}

/** @param {string} id */
async function openAccount(id) {
  byId("admin-key").hidden = true;
  await showAccount(id);
  byId("account").scrollIntoView({ block: "start" });
  byId("account-title").focus({ preventScroll: true });
}

/**
 * What today brought and what it risked.
 * @param {any} window
 * @param {any} total the statement's
 */
const books = (window, total) => [
  part("Under way", grouped(Object.keys(window.open).length)),
  part("Charged", dollars(total.charge_usd)),
  part("Cost", dollars(total.cost_usd)),
  part("Margin", dollars(total.margin_usd)),
  part("Overruns", dollars(total.overrun_usd)),
  part("Exposure", dollars(total.exposure_usd)),
];

/** @param {any} key */
function keyRow(key) {
  const disable = () => admin(`keys/${encodeURIComponent(key.key_id)}/disable`, { method: "POST", body: {} }).then(() => showAccount(key.account_id));
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, short(key.name)),
    h("td", {}, h("code", {}, `${key.prefix}…`)),
    h("td", {}, short(key.models === null ? "All" : key.models.join(", "))),
    h("td", {}, pill(key.enabled, "Enabled", "Disabled")),
    h("td", {}, h("div", { class: "row-actions" }, key.enabled ? action("Disable", key.name, disable, "danger") : null)),
  );
}

/** @param {Record<string, unknown>} change */
async function changeAccount(change) {
  await admin(`accounts/${encodeURIComponent(shown.account_id)}`, { method: "PATCH", body: change });
  await Promise.all([showAccounts(), showAccount(shown.account_id)]);
}

/** @param {SubmitEvent} event */
function createAccount(event) {
  event.preventDefault();
  const body = {
    name: field("new-account-name").value.trim(),
    requests_per_day: Number(field("new-account-requests").value),
    budget_usd_per_day: field("new-account-budget").value.trim(),
  };
  attempt(async () => {
    const made = await admin("accounts", { method: "POST", body });
    /** @type {HTMLFormElement} */ (byId("new-account-form")).reset();
    /** @type {HTMLDetailsElement} */ (byId("new-account")).open = false;
    await showAccounts();
    await openAccount(made.account_id);
    done(`The account "${made.name}" is there.`);
  });
}

/** @param {SubmitEvent} event */
function createKey(event) {
  event.preventDefault();
  attempt(async () => {
    const body = { name: field("admin-key-name").value.trim() };
    const made = await admin(`accounts/${encodeURIComponent(shown.account_id)}/keys`, { method: "POST", body });
    field("admin-key-name").value = "";
    await showAccount(shown.account_id);
    const secret = h("code", { id: "admin-secret" }, made.key);
    const copy = h("button", { type: "button", class: "slim" }, "Copy");
    copies(copy, secret);
    byId("admin-key").replaceChildren(h("strong", {}, "The key. It is shown this once: copy it now."), h("div", { class: "secret" }, secret, copy));
    byId("admin-key").hidden = false;
  });
}

export function prepareAccounts() {
  byId("account-stop").addEventListener("click", () => {
    if (shown && confirm(shown.enabled ? "Stop all keys of this account at once?" : "Let this account's keys work again?")) {
      attempt(() => changeAccount({ enabled: !shown.enabled }));
    }
  });
  byId("limits-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const budget = field("limit-budget").value.trim();
    attempt(() => changeAccount({ requests_per_day: Number(field("limit-requests").value), budget_usd_per_day: budget }));
  });
  byId("limits-holdings").addEventListener("click", () => attempt(() => changeAccount({ limits_from: "holdings" })));
  byId("new-account-form").addEventListener("submit", createAccount);
  byId("admin-key-form").addEventListener("submit", createKey);
}
