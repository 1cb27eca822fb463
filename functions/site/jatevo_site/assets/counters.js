// @ts-check
// What an account has today: both counters, what is under way, which one ran out and what helps, and why the budget is
// what it is. Pure showing: every figure is the gateway's.
import { byId, fill, h, notice } from "./dom.js";
import { dollars, grouped, nano, percent } from "./money.js";

const WARN_PERCENT = 80;

/** @param {any} now the answer of /account/v1/budget */
export function showCounters({ limits, limits_from, today, prepaid }) {
  const requests = limits.requests_per_day;
  byId("requests").replaceChildren(grouped(today.requests_used), h("small", {}, ` / ${grouped(requests)} daily`));
  fill("requests-meter", requests > 0 ? Math.min(100, Math.floor((100 * today.requests_used) / requests)) : 0);
  byId("requests-flight").textContent = today.requests_in_flight
    ? `${grouped(today.requests_in_flight)} under way, of ${grouped(limits.concurrency)} at once.`
    : "";
  byId("budget").replaceChildren(dollars(today.budget_spent_usd), h("small", {}, ` / ${dollars(limits.budget_usd_per_day)} daily`));
  fill("budget-meter", percent(today.budget_spent_usd, limits.budget_usd_per_day));
  const held = nano(today.budget_in_flight_usd) > 0n;
  const beside = held ? [`${dollars(today.budget_in_flight_usd)} held by requests under way.`] : [];
  if (prepaid) beside.push(`${dollars(prepaid.remaining_usd)} prepaid, spent after the day's budget.`);
  byId("budget-flight").textContent = beside.join(" ");
  notice(byId("standing"), ...standing(limits, limits_from === "holdings", today, prepaid));
}

/**
 * Which limit ran out, and what helps.
 * @param {any} limits
 * @param {boolean} held whether holdings give the limits
 * @param {any} today
 * @param {any} prepaid
 * @returns {[string | null, "bad" | "warn"]}
 */
function standing(limits, held, today, prepaid) {
  const helps = held ? "Wait for 00:00 UTC, or hold more JTVO: it counts from the next snapshot." : "Wait for 00:00 UTC, or ask the operator for more.";
  const [requests, budget] = [limits.requests_per_day, limits.budget_usd_per_day];
  const paid = prepaid !== null && nano(prepaid.remaining_usd) > 0n;
  if (requests === 0 && nano(budget) === 0n) return ["There is no budget today. What helps is said below.", "warn"];
  if (today.requests_remaining === 0) return [`Limit A ran out: all ${grouped(requests)} requests of today are used. ${helps}`, "bad"];
  if (nano(today.budget_remaining_usd) === 0n) {
    if (paid) return [`Today's ${dollars(budget)} are spent. Requests are paid from the prepaid balance now.`, "warn"];
    if (nano(today.budget_in_flight_usd) > 0n) return ["All that is left of today's dollars is held by requests under way.", "warn"];
    return [`Limit B ran out: today's ${dollars(budget)} are spent. ${helps}`, "bad"];
  }
  if (percent(today.budget_spent_usd, budget) >= WARN_PERCENT) {
    const left = `${dollars(today.budget_remaining_usd)} of today's dollars are left.`;
    return [paid ? `${left} The prepaid balance comes after them.` : `${left} A smaller max_tokens makes them go further.`, "warn"];
  }
  if (today.requests_used * 100 >= requests * WARN_PERCENT) {
    return [`${grouped(today.requests_remaining)} of today's requests are left.`, "warn"];
  }
  return [null, "warn"];
}

/** @type {Record<string, string>} */
const PRICE_STATES = {
  ok: "agreed",
  frozen: "frozen: its sources disagree",
  degraded: "from fewer sources than usual",
  stale: "out of date",
};

/**
 * @param {string} term
 * @param {string} text
 * @param {string} [kind]
 */
const part = (term, text, kind = "") => h("div", { class: kind }, h("dt", {}, term), h("dd", {}, text));

/** @param {string} instant */
const minute = (instant) => instant.replace("T", " ").replace(/:\d\dZ$/, " UTC");

/** @param {any} now the answer of /account/v1/budget */
export function showWhy({ entitlement: found }) {
  if (found === null) {
    byId("why").replaceChildren(h("p", { class: "muted" }, "An operator has set this account's limits; holdings do not change them."));
    return;
  }
  const tokens = found.wallets.map((/** @type {any} */ wallet) => wallet.counted ?? "0").join(" + ") || "0";
  const { price, policy } = found;
  const read = found.snapshot ? `Counted in the snapshot of ${minute(found.snapshot.taken_at)}.` : "There is no snapshot yet.";
  const priced = `The price is ${PRICE_STATES[price.state] ?? price.state}${price.as_of ? `, as of ${minute(price.as_of)}` : ""}.`;
  const gives = `Each dollar held gives $${policy.budget_usd_per_usd_held} a day.`;
  const reasons = found.why.map((/** @type {{message: string}} */ why) => h("li", {}, why.message));
  byId("why").replaceChildren(
    h(
      "dl",
      { class: "sum" },
      part("Tokens that count", tokens),
      part("× price", price.usd === null ? "no price" : `$${price.usd}`),
      part("= value", dollars(found.value_usd)),
      part("Budget a day", dollars(found.budget_usd_per_day), "result"),
      part("Requests a day", grouped(found.requests_per_day), "calls"),
    ),
    h("p", { class: "muted small" }, `${read} ${priced} ${gives}`),
    ...(reasons.length ? [h("ul", { class: "small" }, ...reasons)] : []),
  );
}
