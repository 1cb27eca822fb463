// @ts-check
// The dashboard: sign in with a wallet, both counters side by side and live, why the budget is what it is, keys, usage.
// A page in view asks again every few seconds; one in the background does not.
import { byDay, byName } from "./charts.js";
import { byId, fill, h, notice } from "./dom.js";
import { Refusal, json, rememberCsrf } from "./http.js";
import { prepareKeys, showKeys } from "./keys.js";
import { dollars, grouped, nano, percent } from "./money.js";
import { clock, until } from "./time.js";
import { discover } from "./wallets.js";

const EVERY_MS = 3000;
const WARN_PERCENT = 80;

/** @type {any} */
let budget = null;
/** @type {string} */
let grouping = "day";
let keysPrepared = false;

/** @param {unknown} error */
const words = (error) => (error instanceof Refusal ? error.message : "Something went wrong. Try again.");

/* ---------------------------------------------------------------- signing in */

/** @param {import("./wallets.js").Wallet} wallet */
function addWallet(wallet) {
  byId("no-wallets").hidden = true;
  byId("wallets").append(h("li", {}, walletButton(wallet, signIn)));
  byId("more-wallets").append(h("li", {}, walletButton(wallet, linkWallet)));
  wallet.onChange?.(() => {
    if (!byId("account").hidden) notice(byId("notice"), "The wallet's account changed. You are still signed in as before; sign out to use another.", "warn");
  });
}

/**
 * @param {import("./wallets.js").Wallet} wallet
 * @param {(wallet: import("./wallets.js").Wallet) => Promise<void>} use
 */
function walletButton(wallet, use) {
  const icon = wallet.icon ? h("img", { src: wallet.icon, alt: "" }) : h("span", { class: "blank", "aria-hidden": "true" });
  const button = /** @type {HTMLButtonElement} */ (h("button", { type: "button", class: "second", "data-wallet": wallet.id }, icon, wallet.name));
  button.addEventListener("click", async () => {
    button.disabled = true;
    notice(byId("notice"), null);
    try {
      await use(wallet);
    } catch (error) {
      notice(byId("notice"), declined(error) ? "The wallet declined. Nothing was signed." : words(error));
    }
    button.disabled = false;
  });
  return button;
}

/** @param {any} error */
const declined = (error) => error?.code === 4001 || /reject|declin|denied/i.test(String(error?.message ?? ""));

/**
 * @param {import("./wallets.js").Wallet} wallet
 * @param {boolean} link to the account that is signed in, instead of signing in
 */
async function proof(wallet, link) {
  const { chain, address } = await wallet.connect();
  const { nonce, message } = await json("account/v1/auth/challenge", { method: "POST", body: { chain, address, link } });
  return { nonce, signature: await wallet.sign(message, address) };
}

/** @param {import("./wallets.js").Wallet} wallet */
async function signIn(wallet) {
  const session = await json("account/v1/auth/verify", { method: "POST", body: await proof(wallet, false) });
  rememberCsrf(session.csrf);
  await open();
}

/** @param {import("./wallets.js").Wallet} wallet */
async function linkWallet(wallet) {
  await json("account/v1/wallets", { method: "POST", body: await proof(wallet, true) });
  await refresh();
}

async function signOut() {
  try {
    await json("account/v1/auth/logout", { method: "POST", body: {} });
  } catch (error) {
    if (!(error instanceof Refusal && error.status === 401)) notice(byId("notice"), words(error));
  }
  signedOut();
}

function signedOut() {
  budget = null;
  byId("account").hidden = true;
  byId("who").hidden = true;
  byId("sign-out").hidden = true;
  byId("connect").hidden = false;
}

/* ---------------------------------------------------------------- what is shown */

/** @param {any} now */
function showCounters({ limits, today, prepaid }) {
  const requests = limits.requests_per_day;
  byId("requests").replaceChildren(grouped(today.requests_used), h("small", {}, ` / ${grouped(requests)} daily`));
  fill("requests-meter", requests > 0 ? Math.min(100, Math.floor((100 * today.requests_used) / requests)) : 0);
  byId("requests-flight").textContent = today.requests_in_flight ? `${grouped(today.requests_in_flight)} under way.` : "";
  byId("budget").replaceChildren(dollars(today.budget_spent_usd), h("small", {}, ` / ${dollars(limits.budget_usd_per_day)} daily`));
  fill("budget-meter", percent(today.budget_spent_usd, limits.budget_usd_per_day));
  const held = nano(today.budget_in_flight_usd) > 0n;
  const beside = held ? [`${dollars(today.budget_in_flight_usd)} held by requests under way.`] : [];
  if (prepaid) beside.push(`${dollars(prepaid.remaining_usd)} prepaid, spent after the day's budget.`);
  byId("budget-flight").textContent = beside.join(" ");
  notice(byId("standing"), ...standing(limits, today));
}

/**
 * Which limit ran out, and what helps.
 * @param {any} limits
 * @param {any} today
 * @returns {[string | null, "bad" | "warn"]}
 */
function standing(limits, today) {
  const helps = "Wait for 00:00 UTC, or hold more JTVO: it counts from the next snapshot.";
  const [requests, budget] = [limits.requests_per_day, limits.budget_usd_per_day];
  if (requests === 0 && nano(budget) === 0n) return ["There is no budget today. What helps is said below.", "warn"];
  if (today.requests_remaining === 0) return [`Limit A ran out: all ${grouped(requests)} requests of today are used. ${helps}`, "bad"];
  if (nano(today.budget_remaining_usd) === 0n && nano(today.budget_in_flight_usd) === 0n) {
    return [`Limit B ran out: today's ${dollars(budget)} are spent. ${helps}`, "bad"];
  }
  if (percent(today.budget_spent_usd, budget) >= WARN_PERCENT) {
    return ["Most of today's dollars are spent. A smaller max_tokens makes the rest go further.", "warn"];
  }
  if (today.requests_used * 100 >= requests * WARN_PERCENT) return ["Most of today's requests are used.", "warn"];
  return [null, "warn"];
}

/**
 * @param {string} term
 * @param {string} text
 * @param {string} [kind]
 */
const part = (term, text, kind = "") => h("div", { class: kind }, h("dt", {}, term), h("dd", {}, text));

/** @param {any} now */
function showWhy(now) {
  const found = now.entitlement;
  if (found === null) {
    byId("why").replaceChildren(h("p", {}, "An operator has set this account's limits; holdings do not change them."));
    return;
  }
  const tokens = found.wallets.map((/** @type {any} */ wallet) => wallet.counted ?? "0").join(" + ") || "0";
  const price = found.price.usd === null ? "no price" : `$${found.price.usd}`;
  const read = found.snapshot ? found.snapshot.taken_at.replace("T", " ").replace(/:\d\dZ$/, " UTC") : "none yet";
  const reasons = found.why.map((/** @type {{message: string}} */ why) => h("li", {}, why.message));
  byId("why").replaceChildren(
    h(
      "dl",
      { class: "sum" },
      part("Tokens that count", tokens),
      part(`× price (${found.price.state})`, price),
      part("= value", dollars(found.value_usd)),
      part("Budget a day", dollars(found.budget_usd_per_day), "result"),
      part("Requests a day", grouped(found.requests_per_day), "calls"),
    ),
    h("p", { class: "muted small" }, `Counted in the snapshot of ${read}. Each dollar held gives $${found.policy.budget_usd_per_usd_held} a day.`),
    ...(reasons.length ? [h("ul", { class: "small" }, ...reasons)] : []),
  );
}

/** @param {any[]} wallets */
function showWallets(wallets) {
  const rows = wallets.map((wallet) => {
    const unlink = h("button", { type: "button", class: "slim danger", "aria-label": `Unlink ${wallet.address}` }, "Unlink");
    unlink.addEventListener("click", async () => {
      if (!confirm("Unlink this wallet? Its holdings stop counting here, and count elsewhere only from tomorrow.")) return;
      try {
        await json(`account/v1/wallets/${encodeURIComponent(wallet.wallet)}`, { method: "DELETE" });
        await refresh();
      } catch (error) {
        notice(byId("notice"), words(error));
      }
    });
    return h("li", {}, h("code", {}, wallet.address), wallets.length > 1 ? unlink : null);
  });
  byId("linked").replaceChildren(...rows);
}

/** @param {any[]} entries */
function showRecent(entries) {
  const none = h("tr", { class: "waiting" }, h("td", { colspan: 7 }, "No requests today. They appear here as they are settled."));
  const rows = entries.map((entry) =>
    h(
      "tr",
      {},
      h("td", { class: "m" }, clock(Math.floor(entry.decided_at_unix_ms / 1000))),
      h("td", {}, h("code", {}, entry.model)),
      h("td", {}, entry.key_name ?? entry.key_id),
      h("td", { class: "n" }, grouped(entry.input_tokens)),
      h("td", { class: "n" }, grouped(entry.output_tokens)),
      h("td", { class: "n" }, dollars(entry.charge_usd)),
      h("td", {}, h("span", { class: `pill ${entry.outcome === "charged" ? "good" : "warn"}` }, entry.outcome)),
    ),
  );
  byId("recent").replaceChildren(...(rows.length ? rows : [none]));
}

async function showUsage() {
  const usage = await json(`account/v1/usage?by=${grouping}`);
  byId("chart").replaceChildren(grouping === "day" ? byDay(usage.sums) : byName(usage.sums));
}

/* ---------------------------------------------------------------- living */

async function open() {
  const session = await json("account/v1/auth/session");
  rememberCsrf(session.csrf);
  byId("who").textContent = session.wallet;
  await refresh();
  byId("connect").hidden = true;
  byId("account").hidden = false;
  byId("sign-out").hidden = false;
  if (!keysPrepared) {
    prepareKeys((await json("account/v1/pricing")).models);
    keysPrepared = true;
  }
  await Promise.all([showKeys(), showUsage()]);
}

async function refresh() {
  const [now, wallets, ledger] = await Promise.all([json("account/v1/budget"), json("account/v1/wallets"), json("account/v1/ledger?format=json&limit=20&newest=true")]);
  const counters = (/** @type {any} */ of) => JSON.stringify([of.today, of.limits, of.prepaid]);
  const moved = budget !== null && counters(now) !== counters(budget);
  budget = now;
  byId("who").hidden = false;
  showCounters(now);
  showWhy(now);
  showWallets(wallets.wallets);
  showRecent(ledger.entries);
  if (moved) await Promise.all([showKeys(), showUsage()]);
}

async function keepLive() {
  if (budget !== null && !document.hidden) {
    try {
      await refresh();
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) {
        signedOut();
        notice(byId("notice"), "Your session has ended. Connect again to go on.", "warn");
      } else notice(byId("notice"), words(error));
    }
  }
  setTimeout(keepLive, EVERY_MS);
}

async function begin() {
  byId("sign-out").addEventListener("click", signOut);
  for (const button of document.querySelectorAll("[data-by]")) {
    button.addEventListener("click", async () => {
      grouping = button.getAttribute("data-by") ?? "day";
      for (const other of document.querySelectorAll("[data-by]")) other.setAttribute("aria-pressed", String(other === button));
      await showUsage().catch((error) => notice(byId("notice"), words(error)));
    });
  }
  discover(addWallet);
  setInterval(() => {
    if (budget !== null) byId("countdown").textContent = until(Date.parse(budget.resets_at) / 1000);
  }, 1000);
  try {
    await open();
  } catch (error) {
    signedOut();
    if (!(error instanceof Refusal && error.status === 401)) notice(byId("notice"), words(error));
  }
  keepLive();
}

begin();
