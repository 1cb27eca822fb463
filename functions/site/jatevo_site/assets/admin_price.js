// @ts-check
// The token's price: what is in use and why, what its sources say, and a rate that an operator sets instead.
import { admin, attempt, done, nothing, part } from "./admin_api.js";
import { byId, field, h } from "./dom.js";
import { moment, now } from "./time.js";

/** @type {Record<string, string>} */
const STATES = { ok: "good", frozen: "warn", degraded: "warn", stale: "bad" };

/** @param {string | null} text */
const priced = (text) => (text === null ? "none" : `$${text}`);

export async function showPrice() {
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
  const sources = price.sources.map((/** @type {any} */ source) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, source.source),
      h("td", {}, h("span", { class: `pill ${source.standing === "agreed" ? "good" : "warn"}` }, source.standing), source.why ? ` ${source.why}` : ""),
      h("td", { class: "m" }, source.as_of_unix_s === null ? "never" : moment(source.as_of_unix_s)),
      h("td", { class: "n" }, priced(source.price_usd)),
    ),
  );
  const decisions = history.decisions.map((/** @type {any} */ told) =>
    h(
      "tr",
      {},
      h("td", { class: "m" }, moment(Math.floor(told.at_ms / 1000))),
      h("td", {}, told.reason + (told.operator ? ` by ${told.operator}` : "")),
      h("td", {}, told.state),
      h("td", { class: "n" }, priced(told.previous_price_usd)),
      h("td", { class: "n" }, priced(told.price_usd)),
    ),
  );
  byId("price-notes").replaceChildren(...(rate ? [rate] : []));
  byId("sources").replaceChildren(...(sources.length ? sources : [nothing("No source has been asked yet.", 4)]));
  byId("decisions").replaceChildren(...(decisions.length ? decisions : [nothing("None yet.", 5)]));
}

/** @param {SubmitEvent} event */
function setRate(event) {
  event.preventDefault();
  const expires = Math.floor(now() / 1000) + 3600 * Number(field("rate-hours").value);
  const body = { price_usd: field("rate").value.trim(), expires_at_unix_s: expires, reason: field("rate-reason").value.trim() };
  attempt(async () => {
    await admin("price/rate", { method: "PUT", body });
    await showPrice();
    done("The rate is set.");
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

export function preparePrice() {
  byId("rate-form").addEventListener("submit", setRate);
  byId("rate-clear").addEventListener("click", clearRate);
}
