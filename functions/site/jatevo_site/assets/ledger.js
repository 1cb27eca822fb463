// @ts-check
// Recent requests, and a day's decisions as a file: all of them, however many answers they come in.
import { byId, field, h, notice } from "./dom.js";
import { Refusal, json, send } from "./http.js";
import { dollars, grouped } from "./money.js";
import { clock, lastDays } from "./time.js";

/** @type {Record<string, [string, string, string]>} by outcome: tone, words, explanation */
const OUTCOMES = {
  charged: ["good", "Charged", "Answered, and charged what it cost"],
  released: ["", "Not charged", "Nothing came of it; money and request were given back"],
  expired: ["warn", "Given up", "It never ended; the money was given back, the request stays counted"],
};

/** @param {any} entry */
function row(entry) {
  const [tone, word, why] = OUTCOMES[entry.outcome] ?? ["warn", entry.outcome, ""];
  return h(
    "tr",
    {},
    h("td", { class: "m" }, clock(Math.floor(entry.decided_at_unix_ms / 1000))),
    h("td", {}, h("code", {}, entry.model)),
    h("td", {}, h("span", { class: "short" }, entry.key_name ?? entry.key_id)),
    h("td", { class: "n" }, grouped(entry.input_tokens)),
    h("td", { class: "n" }, grouped(entry.output_tokens)),
    h("td", { class: "n" }, dollars(entry.charge_usd)),
    h("td", {}, h("span", { class: `pill ${tone}`, title: why }, word)),
  );
}

export async function showRecent() {
  const { entries } = await json("account/v1/ledger?format=json&limit=20&newest=true");
  const none = h("tr", { class: "waiting" }, h("td", { colspan: 7 }, "No requests today. They appear here as they are settled."));
  byId("recent").replaceChildren(...(entries.length ? entries.map(row) : [none]));
}

/**
 * Yield the answers that make up a day, in order.
 * @param {string} day
 * @param {string} format
 */
async function* pages(day, format) {
  for (let cursor = ""; ; ) {
    const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const answer = await send(`account/v1/ledger?format=${format}&day=${encodeURIComponent(day)}${after}`);
    const page = format === "csv" ? { text: await answer.text(), next: answer.headers.get("x-jatevo-next-cursor") } : await answer.json();
    yield page;
    if (!page.next) return;
    cursor = page.next;
  }
}

/** @type {Record<string, (day: string) => Promise<Blob>>} */
const FILES = {
  async csv(day) {
    const parts = [];
    for await (const { text } of pages(day, "csv")) parts.push(parts.length ? text.slice(text.indexOf("\n") + 1) : text);
    return new Blob(parts, { type: "text/csv" });
  },
  async json(day) {
    const entries = [];
    for await (const page of pages(day, "json")) entries.push(...page.entries);
    return new Blob([JSON.stringify({ day, entries }, null, 2)], { type: "application/json" });
  },
};

export function prepareExports() {
  const day = field("export-day");
  day.value = lastDays(1)[0] ?? "";
  for (const format of ["csv", "json"]) {
    const button = /** @type {HTMLButtonElement} */ (byId(`export-${format}`));
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const of = day.value || (lastDays(1)[0] ?? "");
        const address = URL.createObjectURL((await FILES[format]?.(of)) ?? new Blob());
        h("a", { href: address, download: `jatevo-ledger-${of}.${format}` }).click();
        setTimeout(() => URL.revokeObjectURL(address), 60_000);
      } catch (error) {
        notice(byId("notice"), error instanceof Refusal ? error.message : "The file could not be made. Try again.");
      }
      button.disabled = false;
    });
  }
}
