// @ts-check
// Charts, drawn from whole numbers at the width they are shown at, so that their words keep their size: requests and
// dollars by day, each on a scale of its own, and dollars by name.
import { h, svg } from "./dom.js";
import { dollars, grouped, nano, total } from "./money.js";
import { lastDays } from "./time.js";

/** @typedef {{label: string, requests: number, charge_usd: string}} Sum */

const DAYS = 14;
const TOP = 22;
const FLOOR = 132;
const HEIGHT = 156;
const LABEL = 46;
const SHARES = 1000;

/**
 * @param {Sum[]} sums of days that had requests
 * @param {number} width of the place, in pixels
 * @returns {Node}
 */
export function byDay(sums, width) {
  const known = new Map(sums.map((sum) => [sum.label, sum]));
  const days = lastDays(DAYS).map((label) => known.get(label) ?? { label, requests: 0, charge_usd: "0" });
  if (!days.some((day) => day.requests)) return h("p", { class: "nothing" }, `No requests in the last ${DAYS} days.`);
  const each = width < 560 ? width : Math.floor((width - 32) / 2);
  const requests = days.reduce((sum, day) => sum + day.requests, 0);
  return h(
    "div",
    { class: "panels" },
    panel("a-tone", "Requests", grouped(requests), columns(days, (day) => BigInt(day.requests), (day) => grouped(day.requests), each)),
    panel("b-tone", "Dollars", dollars(total(days.map((day) => day.charge_usd))), columns(days, (day) => nano(day.charge_usd), (day) => dollars(day.charge_usd), each)),
  );
}

/**
 * @param {string} tone
 * @param {string} name
 * @param {string} sum
 * @param {Node} drawing
 */
const panel = (tone, name, sum, drawing) =>
  h("figure", { class: tone }, h("figcaption", {}, h("span", {}, name), ` ${sum} in ${DAYS} days`), drawing);

/**
 * @param {Sum[]} days
 * @param {(day: Sum) => bigint} size
 * @param {(day: Sum) => string} words
 * @param {number} width
 */
function columns(days, size, words, width) {
  const largest = days.reduce((one, other) => (size(other) > size(one) ? other : one));
  const slot = width / days.length;
  const every = Math.ceil(LABEL / slot);
  const told = days.filter((day) => size(day) > 0n).map((day) => `${day.label}: ${words(day)}`);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": told.join("; ") || "Nothing." });
  drawing.append(
    svg("line", { class: "top", x1: 0, x2: width, y1: TOP + 0.5, y2: TOP + 0.5 }),
    svg("text", { x: 0, y: TOP - 7 }, words(largest)),
    svg("line", { x1: 0, x2: width, y1: FLOOR + 0.5, y2: FLOOR + 0.5 }),
  );
  days.forEach((day, index) => {
    const tall = height(size(day), size(largest));
    const bar = Math.min(28, slot * 0.62);
    const x = index * slot + (slot - bar) / 2;
    drawing.append(
      ...(tall ? [svg("rect", { class: "bar", x, y: FLOOR - tall, width: bar, height: tall, rx: Math.min(3, tall / 2) })] : []),
      svg("rect", { class: "hit", x: index * slot, y: 0, width: slot, height: FLOOR }, svg("title", {}, `${day.label}: ${words(day)}`)),
    );
    if ((days.length - 1 - index) % every === 0) {
      drawing.append(svg("text", { x: Math.min(index * slot + slot / 2, width - LABEL / 2 + 4), y: HEIGHT - 6, "text-anchor": "middle" }, day.label.slice(5)));
    }
  });
  return drawing;
}

/**
 * @param {bigint} part
 * @param {bigint} whole
 * @returns {number} pixels; what is more than nothing can be seen
 */
function height(part, whole) {
  return part > 0n ? Math.max(2, (share(part, whole) * (FLOOR - TOP)) / SHARES) : 0;
}

/**
 * @param {bigint} part
 * @param {bigint} whole
 * @returns {number} thousandths, for drawing
 */
const share = (part, whole) => (whole > 0n ? Number((part * BigInt(SHARES)) / whole) : 0);

/**
 * @param {Sum[]} sums
 * @returns {Node}
 */
export function byName(sums) {
  if (!sums.length) return h("p", { class: "nothing" }, "No requests in the last 30 days.");
  const ordered = sums.toSorted((one, other) => (nano(other.charge_usd) > nano(one.charge_usd) ? 1 : -1));
  const dearest = nano(ordered[0]?.charge_usd ?? "0");
  const rows = ordered.map((sum) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("span", { class: "short" }, sum.label)),
      h("td", { class: "share" }, h("meter", { min: 0, max: SHARES, value: share(nano(sum.charge_usd), dearest), "aria-label": `Dollars of ${sum.label}` })),
      h("td", { class: "n" }, grouped(sum.requests)),
      h("td", { class: "n" }, dollars(sum.charge_usd)),
    ),
  );
  const head = h("tr", {}, h("th", { scope: "col" }, "Last 30 days"), h("td", {}), h("th", { scope: "col", class: "n" }, "Requests"), h("th", { scope: "col", class: "n" }, "Dollars"));
  return h("table", { class: "bars" }, h("thead", {}, head), h("tbody", {}, ...rows));
}
