// @ts-check
// Routes and how they fare, pools taken out of use and back, and what operators changed.
import { action, admin, nothing } from "./admin_api.js";
import { byId, h } from "./dom.js";
import { grouped } from "./money.js";
import { clock, moment } from "./time.js";

/** @type {Record<string, string>} */
const ASKED = { closed: "good", half_open: "warn", open: "bad", drained: "warn" };

/** @type {Record<string, string>} */
const IN_USE = { closed: "in use", half_open: "being tried", open: "left alone" };

/** @param {any} route */
function breaker({ breaker: state, opened_in_a_row: times, until_unix_ms: until }) {
  const again = until === null ? "" : `, until ${clock(Math.floor(until / 1000))}`;
  return state + (times > 1 ? `, ${grouped(times)} times in a row` : "") + again;
}

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
    h("td", {}, breaker(route)),
    h("td", { class: "n" }, String(route.priority)),
    h("td", { class: "n" }, String(route.weight)),
    h("td", { class: "n" }, route.concurrency === null ? "–" : grouped(route.concurrency)),
    h("td", {}, lanes.join(", ")),
    h("td", {}, h("div", { class: "row-actions" }, action(drained ? "Use again" : "Drain", route.pool, turn))),
  );
}

export async function showRoutes() {
  const [{ routes }, { changes }] = await Promise.all([admin("routes"), admin("audit?limit=20")]);
  byId("routes").replaceChildren(...(routes.length ? routes.map(routeRow) : [nothing("No routes: the catalogue is empty.", 9)]));
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
