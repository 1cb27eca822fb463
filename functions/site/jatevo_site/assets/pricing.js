// @ts-check
// The pricing page: models with prices, and the simulator. Every number comes from the gateway; the page only shows it.
import { byId, field, fill, h } from "./dom.js";
import { Refusal, json } from "./http.js";
import { dollars, grouped, percent } from "./money.js";

/** @typedef {{id: string, context_window: number, pricing: Record<string, string>}} Model */

const base = new URL(document.baseURI);
for (const place of document.querySelectorAll("[data-origin]")) {
  place.textContent = (base.origin + base.pathname).replace(/\/$/, "");
}

/**
 * A slider's 0–100 as a count between two bounds, evenly by ratio, to two figures.
 * @param {string} id
 * @param {number} from
 * @param {number} to
 */
function onScale(id, from, to) {
  const value = from * (to / from) ** (Number(field(id).value) / 100);
  return Math.round(Number(value.toPrecision(2)));
}

const HOLDINGS = [110, 110_000_000];
const PRICE_NANO = [100, 100_000_000];
const TOKENS = [10, 100_000];
const REQUESTS = [1, 10_000];

/** @param {number} count */
const asUsd = (count) => {
  const digits = count.toString().padStart(10, "0");
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`;
};

function wanted() {
  return {
    tokens: String(onScale("sim-holdings", HOLDINGS[0], HOLDINGS[1])),
    price_usd: asUsd(onScale("sim-price", PRICE_NANO[0], PRICE_NANO[1])),
    model: field("sim-model").value,
    input_tokens: onScale("sim-input", TOKENS[0], TOKENS[1]),
    output_tokens: onScale("sim-output", TOKENS[0], TOKENS[1]),
    requests: onScale("sim-requests", REQUESTS[0], REQUESTS[1]),
  };
}

/** @param {ReturnType<typeof wanted>} asked */
function showInputs(asked) {
  byId("sim-holdings-out").textContent = grouped(BigInt(asked.tokens));
  byId("sim-price-out").textContent = dollars(asked.price_usd);
  byId("sim-input-out").textContent = grouped(asked.input_tokens);
  byId("sim-output-out").textContent = grouped(asked.output_tokens);
  byId("sim-requests-out").textContent = grouped(asked.requests);
}

const VERDICTS = {
  requests: "Limit A runs out first: requests.",
  budget: "Limit B runs out first: dollars.",
  none: "Neither runs out: every request is allowed.",
  minimum: "No budget: the holding is below the minimum.",
};

/** @param {any} outcome */
function show(outcome) {
  const { limits, used } = outcome;
  byId("sim-a").replaceChildren(grouped(used.requests), h("small", {}, ` / ${grouped(limits.requests)} daily`));
  byId("sim-b").replaceChildren(dollars(used.budget_usd), h("small", {}, ` / ${dollars(limits.budget_usd)} daily`));
  fill("sim-a-meter", limits.requests ? Math.floor((100 * used.requests) / limits.requests) : 0);
  fill("sim-b-meter", percent(used.budget_usd, limits.budget_usd));
  const first = /** @type {keyof typeof VERDICTS} */ (outcome.first_empty);
  byId("sim-verdict").textContent = VERDICTS[first];
  byId("sim-why").textContent =
    `The holding is worth ${dollars(outcome.value_usd)}. One such request costs ${dollars(outcome.charge_usd)}. ` +
    `${grouped(used.requests)} of ${grouped(outcome.sent)} requests are served` +
    (outcome.refused ? `; the next is refused with ${outcome.code}.` : ".");
  const lit = [outcome.refused ? "block" : "allow", first];
  for (const node of document.querySelectorAll("[data-live]")) {
    node.toggleAttribute("data-on", lit.includes(node.getAttribute("data-live") ?? ""));
  }
}

let asking = new AbortController();
/** @type {number | undefined} */
let later;

function simulate() {
  const supposed = wanted();
  showInputs(supposed);
  const asked = new URLSearchParams(Object.entries(supposed).map(([name, value]) => [name, String(value)]));
  clearTimeout(later);
  later = setTimeout(async () => {
    asking.abort();
    asking = new AbortController();
    try {
      show(await json(`account/v1/simulation?${asked}`, { signal: asking.signal }));
    } catch (error) {
      if (error instanceof Refusal) byId("sim-verdict").textContent = error.message;
    }
  }, 120);
}

/** @param {Model[]} models */
function showModels(models) {
  const price = (/** @type {string | undefined} */ text) => h("td", { class: "n" }, text === undefined ? "–" : dollars(text));
  const rows = models.map((model) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("code", {}, model.id)),
      h("td", { class: "n" }, grouped(model.context_window)),
      price(model.pricing.input),
      price(model.pricing.cached_input),
      price(model.pricing.output),
      price(model.pricing.request),
    ),
  );
  const none = h("tr", { class: "waiting" }, h("td", { colspan: 6 }, "No model is on sale yet."));
  byId("model-table").querySelector("tbody")?.replaceChildren(...(rows.length ? rows : [none]));
}

async function begin() {
  try {
    const { models } = await json("account/v1/pricing");
    showModels(models);
    byId("sim-model").replaceChildren(...models.map((/** @type {Model} */ model) => h("option", { value: model.id }, model.id)));
    const first = models[0]?.id;
    for (const place of document.querySelectorAll("[data-model]")) place.textContent = first ?? "auto";
    if (!first) {
      byId("sim-verdict").textContent = "There is nothing to simulate before a model is on sale.";
      return;
    }
    byId("sim").addEventListener("input", simulate);
    byId("sim").addEventListener("submit", (event) => event.preventDefault());
    simulate();
  } catch (error) {
    const words = error instanceof Refusal ? error.message : "The models cannot be shown.";
    byId("model-table").querySelector("tbody")?.replaceChildren(h("tr", { class: "waiting" }, h("td", { colspan: 6 }, words)));
    byId("sim-verdict").textContent = words;
    byId("sim-why").textContent = "Reload the page to try again.";
  }
}

begin();
