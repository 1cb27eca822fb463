// @ts-check
// Two charts, drawn as SVG and lists from whole numbers: dollars and requests by day, and dollars by name.
import { h, svg } from "./dom.js";
import { dollars, grouped, nano } from "./money.js";

/** @typedef {{label: string, requests: number, charge_usd: string}} Sum */

const WIDTH = 720;
const HEIGHT = 190;
const FLOOR = 160;

/**
 * @param {Sum[]} days oldest first
 * @returns {Node}
 */
export function byDay(days) {
  if (!days.some((day) => day.requests)) return h("p", { class: "nothing" }, "No requests in these days.");
  const slot = WIDTH / days.length;
  const dearest = days.reduce((most, day) => (nano(day.charge_usd) > most ? nano(day.charge_usd) : most), 1n);
  const busiest = Math.max(1, ...days.map((day) => day.requests));
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": spoken(days) });
  drawing.append(svg("line", { x1: 0, x2: WIDTH, y1: FLOOR + 0.5, y2: FLOOR + 0.5 }));
  days.forEach((day, index) => {
    const x = index * slot;
    const width = Math.min(26, slot * 0.32);
    drawing.append(
      bar("calls", x + slot / 2 - width - 1, width, (FLOOR - 20) * (day.requests / busiest), `${day.label}: ${grouped(day.requests)} requests`),
      bar("col", x + slot / 2 + 1, width, (FLOOR - 20) * share(day.charge_usd, dearest), `${day.label}: ${dollars(day.charge_usd)}`),
    );
    if (days.length <= 10 || index % 5 === 0) {
      drawing.append(svg("text", { x: x + slot / 2, y: HEIGHT - 8, "text-anchor": "middle" }, day.label.slice(5)));
    }
  });
  const legend = h("p", { class: "legend" }, h("span", { class: "a-tone" }, "Requests"), h("span", { class: "b-tone" }, "Dollars"));
  return h("div", {}, legend, drawing);
}

/**
 * @param {string} kind
 * @param {number} x
 * @param {number} width
 * @param {number} height
 * @param {string} words
 */
function bar(kind, x, width, height, words) {
  const tall = height > 0 ? Math.max(2, height) : 0;
  return svg("rect", { class: kind, x, y: FLOOR - tall, width, height: tall, rx: 3 }, svg("title", {}, words));
}

/**
 * @param {string} part
 * @param {bigint} whole
 */
const share = (part, whole) => Number((nano(part) * 1000n) / whole) / 1000;

/** @param {Sum[]} days */
const spoken = (days) =>
  `Usage by day. ${days.filter((day) => day.requests).map((day) => `${day.label}: ${grouped(day.requests)} requests, ${dollars(day.charge_usd)}`).join("; ")}.`;

/**
 * @param {Sum[]} sums
 * @returns {Node}
 */
export function byName(sums) {
  if (!sums.length) return h("p", { class: "nothing" }, "No requests in these days.");
  const dearest = sums.reduce((most, sum) => (nano(sum.charge_usd) > most ? nano(sum.charge_usd) : most), 1n);
  const rows = sums
    .toSorted((one, other) => (nano(other.charge_usd) > nano(one.charge_usd) ? 1 : -1))
    .flatMap((sum) => [
      h("dt", {}, h("code", {}, sum.label)),
      h("dd", {}, h("meter", { min: 0, max: 1000, value: Number((nano(sum.charge_usd) * 1000n) / dearest), "aria-label": `Share of ${sum.label}` })),
      h("dd", {}, `${dollars(sum.charge_usd)} · ${grouped(sum.requests)}`),
    ]);
  return h("dl", { class: "bars" }, ...rows);
}
