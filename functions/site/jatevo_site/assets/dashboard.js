// @ts-check
// The dashboard: sign in with a wallet, both counters side by side and live, why the budget is what it is, keys, usage.
// A page in view asks again every few seconds, for the counters alone while they stand; one in the background does not.
import { byDay, byName } from "./charts.js";
import { showCounters, showWhy } from "./counters.js";
import { byId, h, notice } from "./dom.js";
import { Refusal, json, maybeSignedIn, rememberSession, session } from "./http.js";
import { forgetSecret, offerModels, prepareKeys, showKeys } from "./keys.js";
import { prepareExports, showRecent } from "./ledger.js";
import { offerWallets } from "./signing.js";
import { now, until } from "./time.js";

const EVERY_MS = 3000;
const SLOWEST_MS = 60_000;
const ALL_EVERY_ROUNDS = 20;

/**
 * What the gateway said last; null before, and for nobody.
 * @type {any}
 */
let budget = null;
/** Counts who looks at this page one after the other: an answer that was asked for by an earlier one is not shown. */
let visit = 0;
/** @type {string} */
let grouping = "day";
/** The sums that are drawn; null before they are known. @type {any[] | null} */
let sums = null;
/** The width that the chart was drawn at. */
let drawnAt = 0;
/** @type {number | undefined} */
let timer;
let looking = false;
let round = 0;
let waitMs = EVERY_MS;

/** @param {unknown} error */
const complain = (error) => notice(byId("notice"), error instanceof Refusal ? error.message : "Something went wrong. Try again.");

/* ---------------------------------------------------------------- signing in and out */

/** @param {import("./signing.js").Proof} proof */
async function signIn(proof) {
  rememberSession((await json("account/v1/auth/verify", { method: "POST", body: proof })).csrf);
  await open();
}

/** @param {import("./signing.js").Proof} proof */
async function link(proof) {
  await json("account/v1/wallets", { method: "POST", body: proof });
  await refresh({ all: true });
}

async function signOut() {
  try {
    await json("account/v1/auth/logout", { method: "POST", body: {} });
  } catch (error) {
    if (!(error instanceof Refusal && error.status === 401)) return complain(error);
  }
  rememberSession(null);
  location.reload(); // nothing of this account stays behind in the page
}

function signedOut() {
  visit += 1;
  budget = null;
  rememberSession(null);
  forgetSecret();
  sums = null;
  for (const id of ["why", "linked", "keys", "chart", "recent"]) byId(id).replaceChildren();
  notice(byId("stale"), null);
  for (const id of ["account", "who", "sign-out"]) byId(id).hidden = true;
  byId("connect").hidden = false;
}

/** @param {string} wallet such as `eip155:0x…` */
function showWho(wallet) {
  const [namespace = "", address = ""] = wallet.split(":");
  const chain = { eip155: "Ethereum", solana: "Solana" }[namespace] ?? namespace;
  const short = address.length > 14 ? `${address.slice(0, 6)}…${address.slice(-4)}` : address;
  byId("who").replaceChildren(`${chain} `, h("code", { title: address }, short));
  byId("who").hidden = false;
}

async function open() {
  const { wallet } = await session();
  showWho(wallet);
  byId("connect").hidden = true;
  byId("account").hidden = false;
  byId("sign-out").hidden = false;
  await refresh({ all: true });
  offerModels((await json("account/v1/pricing")).models);
}

/* ---------------------------------------------------------------- what is shown */

/**
 * @param {any[]} wallets
 * @param {any[]} holdings
 */
function showWallets(wallets, holdings) {
  const rows = wallets.map((wallet) => {
    const unlink = h("button", { type: "button", class: "slim danger", "aria-label": `Unlink ${wallet.address}` }, "Unlink");
    unlink.addEventListener("click", async () => {
      if (!confirm("Unlink this wallet? Its holdings stop counting here, and count elsewhere only from tomorrow.")) return;
      try {
        await json(`account/v1/wallets/${encodeURIComponent(wallet.wallet)}`, { method: "DELETE" });
        await refresh({ all: true });
      } catch (error) {
        complain(error);
      }
    });
    const held = holdings.find((/** @type {any} */ each) => each.wallet === wallet.wallet);
    const counts = held && h("span", { class: "muted small" }, held.counts ? `${held.counted ?? "0"} JTVO count today` : "Counts for another account today");
    return h("li", {}, h("div", {}, h("code", {}, wallet.address), counts), wallets.length > 1 ? unlink : null);
  });
  byId("linked").replaceChildren(...rows);
}

function drawUsage() {
  if (sums === null) return;
  const place = byId("chart");
  drawnAt = place.clientWidth;
  place.replaceChildren(grouping === "day" ? byDay(sums, place.clientWidth) : byName(sums));
}

async function showUsage() {
  const asked = grouping;
  const found = (await json(`account/v1/usage?by=${asked}`)).sums;
  if (asked !== grouping) return;
  sums = found;
  drawUsage();
}

/* ---------------------------------------------------------------- living */

/** @param {any} of */
const counters = (of) => JSON.stringify([of.today, of.limits, of.prepaid, of.resets_at]);

/**
 * Ask for the counters, and for all the rest when they moved.
 * @param {{all?: boolean}} [how]
 */
async function refresh({ all = false } = {}) {
  const mine = visit;
  const found = await json("account/v1/budget");
  if (mine !== visit) return;
  const moved = budget === null || counters(found) !== counters(budget);
  budget = found;
  showCounters(found);
  showWhy(found);
  if (!all && !moved) return;
  const wallets = json("account/v1/wallets").then((answer) => mine === visit && showWallets(answer.wallets, found.entitlement?.wallets ?? []));
  await Promise.all([wallets, showRecent(), showKeys(), showUsage()]);
}

async function keepLive() {
  if (looking) return;
  clearTimeout(timer);
  looking = true;
  if (!document.hidden && (budget !== null || maybeSignedIn())) await look();
  looking = false;
  timer = setTimeout(keepLive, waitMs);
}

async function look() {
  const first = budget === null;
  try {
    if (first) await open();
    else await refresh({ all: ++round % ALL_EVERY_ROUNDS === 0 });
    waitMs = EVERY_MS;
    notice(byId("stale"), null);
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) {
      signedOut();
      if (!first) notice(byId("notice"), "Your session has ended. Connect again to go on.", "warn");
      return;
    }
    waitMs = Math.min(SLOWEST_MS, 2 * waitMs);
    const words = error instanceof Refusal ? error.message : "Something went wrong.";
    notice(byId("stale"), `${words} What is shown may be old; trying again.`, "warn");
  }
}

function tick() {
  if (budget === null) return;
  const end = Date.parse(budget.resets_at) / 1000;
  byId("countdown").textContent = until(end);
  if (now() >= 1000 * end && waitMs === EVERY_MS) keepLive();
}

async function begin() {
  byId("sign-out").addEventListener("click", signOut);
  for (const button of document.querySelectorAll("[data-by]")) {
    button.addEventListener("click", () => {
      grouping = button.getAttribute("data-by") ?? "day";
      for (const other of document.querySelectorAll("[data-by]")) other.setAttribute("aria-pressed", String(other === button));
      showUsage().catch(complain);
    });
  }
  prepareExports();
  prepareKeys();
  offerWallets(signIn, link);
  new ResizeObserver(() => byId("chart").clientWidth !== drawnAt && drawUsage()).observe(byId("chart"));
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", () => document.hidden || keepLive());
  byId(maybeSignedIn() ? "account" : "connect").hidden = false;
  await keepLive();
}

begin();
