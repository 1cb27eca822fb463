// @ts-check
// The operators' page: everything it does goes through the admin API, with the token as its bearer. The token stays in
// this page's memory.
import { byId, field, h, notice } from "./dom.js";
import { Refusal, json } from "./http.js";
import { dollars, grouped, nano } from "./money.js";
import { moment } from "./time.js";

let token = "";
/** @type {any} */
let shown = null;

/**
 * @param {string} path
 * @param {{method?: string, body?: unknown}} [options]
 */
const admin = (path, options = {}) => json(`admin/v1/${path}`, { ...options, key: token });

/** @param {unknown} error */
const complain = (error) => notice(byId("notice"), error instanceof Refusal ? error.message : "Something went wrong. Try again.");

/** @param {() => Promise<unknown>} work */
async function attempt(work) {
  notice(byId("notice"), null);
  try {
    await work();
  } catch (error) {
    complain(error);
  }
}

/**
 * @param {string} label
 * @param {string} about
 * @param {() => Promise<unknown>} work
 * @param {string} [tone]
 */
const action = (label, about, work, tone = "second") =>
  h("button", { type: "button", class: `slim ${tone}`, "aria-label": `${label} ${about}`, onclick: () => attempt(work) }, label);

/** @param {boolean} good @param {string} yes @param {string} no */
const pill = (good, yes, no) => h("span", { class: `pill ${good ? "good" : "bad"}` }, good ? yes : no);

/** @param {string} term @param {string} text */
const part = (term, text) => h("div", {}, h("dt", {}, term), h("dd", {}, text));

/** @param {string} text @param {number} columns */
const nothing = (text, columns) => h("tr", { class: "waiting" }, h("td", { colspan: columns }, text));

/* ---------------------------------------------------------------- accounts */

/** @param {any} account */
function accountRow(account) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("code", {}, account.account_id)),
    h("td", {}, account.name),
    h("td", {}, account.limits_from ?? "operator"),
    h("td", { class: "n" }, grouped(account.requests_per_day)),
    h("td", { class: "n" }, dollars(account.budget_usd_per_day)),
    h("td", {}, pill(account.enabled, "Enabled", "Stopped")),
    h("td", {}, h("div", { class: "row-actions" }, action("Open", account.account_id, () => showAccount(account.account_id)))),
  );
}

/** @param {string | null} after */
async function showAccounts(after = null) {
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
  byId("account-title").textContent = `${account.name} · ${account.account_id}`;
  byId("account-stop").textContent = account.enabled ? "Stop the account" : "Let it go on";
  byId("account-requests").replaceChildren(
    grouped(window.requests_limit - window.requests_left),
    h("small", {}, ` / ${grouped(window.requests_limit)} daily`),
  );
  byId("account-budget").replaceChildren(dollars(window.settled_usd), h("small", {}, ` / ${dollars(window.budget_limit_usd)} daily`));
  byId("account-books").replaceChildren(...books(window, statement.total));
  byId("account-keys").replaceChildren(...(keys.keys.length ? keys.keys.map(keyRow) : [nothing("No keys.", 5)]));
  field("limit-requests").value = String(account.requests_per_day);
  field("limit-budget").value = account.budget_usd_per_day;
  byId("account").hidden = false;
  byId("account").scrollIntoView({ block: "nearest" });
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
    h("th", { scope: "row" }, h("code", {}, `${key.prefix}…`)),
    h("td", {}, key.name),
    h("td", {}, key.models === null ? "All" : key.models.join(", ")),
    h("td", {}, pill(key.enabled, "Enabled", "Disabled")),
    h("td", {}, key.enabled ? action("Disable", key.name, disable, "danger") : ""),
  );
}

/** @param {Record<string, unknown>} change */
async function changeAccount(change) {
  await admin(`accounts/${encodeURIComponent(shown.account_id)}`, { method: "PATCH", body: change });
  await Promise.all([showAccounts(), showAccount(shown.account_id)]);
}

/* ---------------------------------------------------------------- routes */

/** @type {Record<string, string>} */
const ASKED = { closed: "good", half_open: "warn", open: "bad", drained: "warn" };

/** @type {Record<string, string>} */
const IN_USE = { closed: "in use", half_open: "being tried", open: "left alone" };

/** @param {any} route */
function routeRow(route) {
  const drained = route.drained_by !== null;
  const turn = async () => {
    if (!drained && !confirm(`Take ${route.pool} out of use? Requests go to other pools, if there are any.`)) return;
    await admin(`pools/${encodeURIComponent(route.pool)}/${drained ? "undrain" : "drain"}`, { method: "POST", body: {} });
    await showRoutes();
  };
  const lanes = route.lanes.map((/** @type {any} */ each) => (each.guaranteed ? `${each.lane} (${each.guaranteed} reserved)` : each.lane));
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("code", {}, route.pool)),
    h("td", {}, h("code", {}, route.model)),
    h("td", {}, h("span", { class: `pill ${ASKED[route.asked] ?? "warn"}` }, drained ? `drained by ${route.drained_by}` : IN_USE[route.asked] ?? route.asked)),
    h("td", {}, route.breaker),
    h("td", { class: "n" }, String(route.priority)),
    h("td", { class: "n" }, String(route.weight)),
    h("td", {}, lanes.join(", ")),
    h("td", {}, h("div", { class: "row-actions" }, action(drained ? "Use again" : "Drain", route.pool, turn))),
  );
}

async function showRoutes() {
  const [{ routes }, { changes }] = await Promise.all([admin("routes"), admin("audit?limit=20")]);
  byId("routes").replaceChildren(...(routes.length ? routes.map(routeRow) : [nothing("No routes: the catalogue is empty.", 8)]));
  const lines = changes.map((/** @type {any} */ change) =>
    h(
      "tr",
      {},
      h("td", { class: "m" }, moment(Math.floor(change.at_unix_ms / 1000))),
      h("td", {}, change.operator),
      h("td", {}, change.action),
      h("td", {}, h("code", {}, change.subject)),
    ),
  );
  byId("changes").replaceChildren(...(lines.length ? lines : [nothing("Nothing was changed this month.", 4)]));
}

/* ---------------------------------------------------------------- price */

/** @type {Record<string, string>} */
const STATES = { ok: "good", frozen: "warn", degraded: "warn", stale: "bad" };

/** @param {string | null} text */
const priced = (text) => (text === null ? "none" : `$${text}`);

async function showPrice() {
  const [price, history] = await Promise.all([admin("price"), admin("price/history?limit=10")]);
  byId("price").replaceChildren(
    part("Price in use", priced(price.price_usd)),
    h("div", {}, h("dt", {}, "State"), h("dd", {}, h("span", { class: `pill ${STATES[price.state]}` }, price.state))),
    part("Comes from", price.basis),
    part("Sources say", priced(price.market.price_usd)),
    part("24 h average", priced(price.average_usd)),
    part("Most it may be today", priced(price.ceiling_usd)),
  );
  const rate = price.rate && h("p", {}, `${price.rate.operator} set ${priced(price.rate.price_usd)} until ${moment(price.rate.expires_at_unix_s)}: ${price.rate.reason}`);
  const sources = price.sources.map((/** @type {any} */ source) => h("li", {}, `${source.source}: ${priced(source.price_usd)}, ${source.standing}${source.why ? ` (${source.why})` : ""}`));
  const decisions = history.decisions.map((/** @type {any} */ told) =>
    h("li", {}, `${moment(Math.floor(told.at_ms / 1000))} ${told.reason}${told.operator ? ` by ${told.operator}` : ""}: ${priced(told.previous_price_usd)} → ${priced(told.price_usd)}`),
  );
  byId("price-notes").replaceChildren(
    ...(rate ? [rate] : []),
    h("h2", { class: "h3" }, "Sources"),
    sources.length ? h("ul", {}, ...sources) : h("p", { class: "muted" }, "No source has been asked yet."),
    h("h2", { class: "h3" }, "Latest decisions"),
    decisions.length ? h("ul", {}, ...decisions) : h("p", { class: "muted" }, "None yet."),
  );
}

/** @param {SubmitEvent} event */
function setRate(event) {
  event.preventDefault();
  const expires = Math.floor(Date.now() / 1000) + 3600 * Number(field("rate-hours").value);
  const body = { price_usd: field("rate").value.trim(), expires_at_unix_s: expires, reason: field("rate-reason").value.trim() };
  attempt(async () => {
    await admin("price/rate", { method: "PUT", body });
    await showPrice();
    notice(byId("notice"), "The rate is set.", "good");
  });
}

function clearRate() {
  const reason = prompt("Why does the rate go?");
  if (!reason) return;
  attempt(async () => {
    await admin(`price/rate?reason=${encodeURIComponent(reason)}`, { method: "DELETE" });
    await showPrice();
  });
}

/* ---------------------------------------------------------------- catalogue */

async function showCatalogue() {
  const record = await admin("catalog");
  byId("catalogue-version").textContent = `version ${record.version}, applied ${moment(record.applied_at_unix_s)} by ${record.applied_by}`;
  field("catalogue").value = JSON.stringify(record.document, null, 2);
  byId("difference").hidden = true;
}

/** @param {boolean} dryRun */
async function applyCatalogue(dryRun) {
  let document_;
  try {
    document_ = JSON.parse(field("catalogue").value);
  } catch (error) {
    notice(byId("notice"), `The catalogue is not JSON: ${error instanceof Error ? error.message : error}`);
    return;
  }
  const applied = await admin("catalog", { method: "PUT", body: { document: document_, dry_run: dryRun } });
  if (!dryRun) await showCatalogue();
  byId("difference").textContent = applied.difference.join("\n") || "Nothing would change.";
  byId("difference").hidden = false;
  if (!dryRun) notice(byId("notice"), `Version ${applied.version} is in force.`, "good");
}

/* ---------------------------------------------------------------- the page */

/** @type {Record<string, () => Promise<unknown>>} */
const ROOMS = { accounts: () => showAccounts(), routes: showRoutes, price: showPrice, catalogue: showCatalogue };

/** @param {string} name */
async function enter(name) {
  for (const tab of document.querySelectorAll('[role="tab"]')) {
    const on = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", String(on));
    tab.setAttribute("tabindex", on ? "0" : "-1");
    byId(tab.getAttribute("aria-controls") ?? "").hidden = !on;
  }
  await attempt(ROOMS[name] ?? (async () => {}));
}

/** @param {SubmitEvent} event */
async function signIn(event) {
  event.preventDefault();
  token = field("token").value.trim();
  notice(byId("notice"), null);
  try {
    await admin("accounts?limit=1");
  } catch (error) {
    token = "";
    complain(error);
    return;
  }
  field("token").value = "";
  byId("sign-in").hidden = true;
  byId("rooms").hidden = false;
  byId("sign-out").hidden = false;
  await enter("accounts");
}

function signOut() {
  token = "";
  shown = null;
  location.reload();
}

function begin() {
  byId("token-form").addEventListener("submit", signIn);
  byId("sign-out").addEventListener("click", signOut);
  const tabs = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('[role="tab"]')]);
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => enter(tab.id.replace("tab-", "")));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      next?.focus();
      next?.click();
    });
  }
  byId("account-stop").addEventListener("click", () => {
    if (shown && confirm(shown.enabled ? "Stop all keys of this account at once?" : "Let this account's keys work again?")) {
      attempt(() => changeAccount({ enabled: !shown.enabled }));
    }
  });
  byId("limits-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const budget = field("limit-budget").value.trim();
    nano(budget);
    attempt(() => changeAccount({ requests_per_day: Number(field("limit-requests").value), budget_usd_per_day: budget }));
  });
  byId("rate-form").addEventListener("submit", setRate);
  byId("rate-clear").addEventListener("click", clearRate);
  byId("compare").addEventListener("click", () => attempt(() => applyCatalogue(true)));
  byId("catalogue-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (confirm("Apply this catalogue? Prices of requests already reserved stay as they are.")) attempt(() => applyCatalogue(false));
  });
}

begin();
