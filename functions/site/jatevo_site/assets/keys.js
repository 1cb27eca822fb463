// @ts-check
// The keys of an account: list, create (shown once), rotate, disable, delete.
import { byId, field, h, notice } from "./dom.js";
import { Refusal, json } from "./http.js";
import { dollars, grouped } from "./money.js";
import { moment } from "./time.js";

const dialog = /** @type {HTMLDialogElement} */ (byId("key-dialog"));

/** @param {any} key */
function row(key) {
  const act = (/** @type {string} */ label, /** @type {() => Promise<void>} */ work, tone = "second") =>
    h("button", { type: "button", class: `slim ${tone}`, "aria-label": `${label} ${key.name}`, onclick: work }, label);
  const cap = key.budget_usd_per_day === null ? "" : ` / ${dollars(key.budget_usd_per_day)}`;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, key.name),
    h("td", { class: key.enabled ? "" : "off" }, h("code", {}, `${key.prefix}…`)),
    h("td", {}, key.models === null ? "All" : key.models.join(", ")),
    h("td", { class: "n" }, `${grouped(key.today.requests)} · ${dollars(key.today.charge_usd)}${cap}`),
    h("td", {}, key.last_used_at_unix_s === null ? "Never" : moment(key.last_used_at_unix_s)),
    h("td", {}, state(key)),
    h(
      "td",
      {},
      h(
        "div",
        { class: "row-actions" },
        key.enabled ? act("Rotate", () => rotate(key)) : null,
        key.enabled ? act("Disable", () => end(key, "disable")) : act("Delete", () => end(key, "delete"), "danger"),
      ),
    ),
  );
}

/** @param {any} key */
function state(key) {
  if (!key.enabled) return h("span", { class: "pill bad" }, "Disabled");
  const expired = key.expires_at_unix_s !== null && key.expires_at_unix_s * 1000 <= Date.now();
  return expired ? h("span", { class: "pill warn" }, "Expired") : h("span", { class: "pill good" }, "Active");
}

export async function showKeys() {
  const { keys } = await json("account/v1/keys");
  const none = h("tr", { class: "waiting" }, h("td", { colspan: 7 }, "No keys yet. Create one and point any OpenAI client at it."));
  byId("keys").replaceChildren(...(keys.length ? keys.map(row) : [none]));
  return keys;
}

/** @type {string} */
let trialModel = "auto";

/**
 * @param {string} base
 * @param {string} secret
 */
const trial = (base, secret) =>
  `curl -N ${base}/v1/chat/completions -H "Authorization: Bearer ${secret}" -H "Content-Type: application/json" \\\n` +
  `  -d '${JSON.stringify({ model: trialModel, messages: [{ role: "user", content: "Say hello." }], stream: true })}'`;

/** @param {string} secret */
function showOnce(secret) {
  const place = byId("shown-once");
  const base = document.baseURI.replace(/\/$/, "");
  const copy = h("button", { type: "button", class: "slim" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(secret);
    copy.textContent = "Copied";
  });
  place.replaceChildren(
    h("strong", {}, "Your key. It is shown this once: copy it now."),
    h("div", { class: "secret" }, h("code", { id: "new-secret" }, secret), copy),
    h("p", { class: "small" }, "Base URL ", h("code", {}, `${base}/v1`), ", for any OpenAI client. Try it now:"),
    h("pre", { tabindex: "0" }, trial(base, secret)),
  );
  place.hidden = false;
}

/** @param {any} key */
async function rotate(key) {
  if (!confirm(`Give "${key.name}" a new secret? The present one stops working.`)) return;
  await attempt(async () => showOnce((await json(`account/v1/keys/${key.key_id}/rotate`, { method: "POST", body: {} })).key));
}

/**
 * @param {any} key
 * @param {"disable" | "delete"} how
 */
async function end(key, how) {
  if (!confirm(how === "disable" ? `Disable "${key.name}"? It stops at once.` : `Delete "${key.name}" for good?`)) return;
  const path = `account/v1/keys/${key.key_id}`;
  await attempt(() => (how === "disable" ? json(`${path}/disable`, { method: "POST", body: {} }) : json(path, { method: "DELETE" })));
}

/** @param {() => Promise<unknown>} work */
async function attempt(work) {
  try {
    await work();
    notice(byId("notice"), null);
  } catch (error) {
    notice(byId("notice"), error instanceof Refusal ? error.message : "That did not work. Try again.");
  }
  await showKeys();
}

function wanted() {
  const chosen = [...byId("key-models").querySelectorAll("input")].filter((box) => box.checked).map((box) => box.value);
  const requests = field("key-requests").value.trim();
  const budget = field("key-budget").value.trim();
  const expires = field("key-expires").value;
  return {
    name: field("key-name").value.trim(),
    models: field("key-all").checked ? null : chosen,
    requests_per_day: requests ? Number(requests) : null,
    budget_usd_per_day: budget || null,
    expires_at_unix_s: expires ? Math.floor(Date.parse(`${expires}T00:00:00Z`) / 1000) : null,
  };
}

/** @param {SubmitEvent} event */
async function create(event) {
  event.preventDefault();
  const button = /** @type {HTMLButtonElement} */ (byId("key-create"));
  button.disabled = true;
  try {
    const made = await json("account/v1/keys", { method: "POST", body: wanted() });
    dialog.close();
    showOnce(made.key);
    await showKeys();
  } catch (error) {
    notice(byId("key-notice"), error instanceof Refusal ? error.message : "The key was not created. Try again.");
  } finally {
    button.disabled = false;
  }
}

/** @param {{id: string}[]} models */
export function prepareKeys(models) {
  trialModel = models[0]?.id ?? trialModel;
  byId("key-models").replaceChildren(
    ...models.map((model) => h("label", { class: "check" }, h("input", { type: "checkbox", value: model.id, disabled: true }), h("code", {}, model.id))),
  );
  byId("key-all").addEventListener("change", () => {
    for (const box of byId("key-models").querySelectorAll("input")) box.disabled = field("key-all").checked;
  });
  byId("new-key").addEventListener("click", () => {
    notice(byId("key-notice"), null);
    /** @type {HTMLFormElement} */ (byId("key-form")).reset();
    for (const box of byId("key-models").querySelectorAll("input")) box.disabled = true;
    dialog.showModal();
  });
  byId("key-cancel").addEventListener("click", () => dialog.close());
  byId("key-form").addEventListener("submit", create);
}
