// @ts-check
// The keys of an account: list, create (shown once), change, rotate, disable, delete.
import { byId, copies, field, h, notice } from "./dom.js";
import { Refusal, json } from "./http.js";
import { dollars, grouped } from "./money.js";
import { moment, now } from "./time.js";

const dialog = /** @type {HTMLDialogElement} */ (byId("key-dialog"));

/** @param {any} key */
function row(key) {
  const act = (/** @type {string} */ label, /** @type {() => Promise<void>} */ work, tone = "second") =>
    h("button", { type: "button", class: `slim ${tone}`, "aria-label": `${label} ${key.name}`, onclick: work }, label);
  const calls = key.requests_per_day === null ? "" : ` / ${grouped(key.requests_per_day)}`;
  const cap = key.budget_usd_per_day === null ? "" : ` / ${dollars(key.budget_usd_per_day)}`;
  const models = key.models === null ? "All" : key.models.join(", ");
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("span", { class: "short", title: key.name }, key.name), h("code", { class: key.enabled ? "" : "off" }, `${key.prefix}…`)),
    h("td", {}, h("span", { class: "short", title: models }, models)),
    h("td", { class: "n" }, `${grouped(key.today.requests)}${calls}`),
    h("td", { class: "n" }, `${dollars(key.today.charge_usd)}${cap}`),
    h("td", { class: "m" }, key.last_used_at_unix_s === null ? "Never" : moment(key.last_used_at_unix_s)),
    h("td", {}, state(key)),
    h(
      "td",
      {},
      h(
        "div",
        { class: "row-actions" },
        key.enabled ? act("Change", async () => ask(key)) : null,
        key.enabled ? act("Rotate", () => rotate(key)) : null,
        key.enabled ? act("Disable", () => end(key, "disable")) : act("Delete", () => end(key, "delete"), "danger"),
      ),
    ),
  );
}

/** @param {any} key */
function state(key) {
  if (!key.enabled) return h("span", { class: "pill bad" }, "Disabled");
  const expired = key.expires_at_unix_s !== null && key.expires_at_unix_s * 1000 <= now();
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
  const key = h("code", { id: "new-secret" }, secret);
  const command = h("pre", { tabindex: "0", "aria-label": "A command to try it" }, trial(base, secret));
  const copyKey = h("button", { type: "button", class: "slim" }, "Copy");
  const copyCommand = h("button", { type: "button", class: "slim second" }, "Copy the command");
  copies(copyKey, key);
  copies(copyCommand, command);
  place.replaceChildren(
    h("strong", { tabindex: "-1" }, "Your key. It is shown this once: copy it now."),
    h("div", { class: "secret" }, key, copyKey),
    h("p", { class: "small" }, "Base URL ", h("span", { class: "address" }, `${base}/v1`), ", for any OpenAI client. Try it now:"),
    command,
    h("p", { class: "actions" }, copyCommand, h("button", { type: "button", class: "slim second", onclick: forgetSecret }, "I have it")),
  );
  place.hidden = false;
  /** @type {HTMLElement | null} */ (place.querySelector("strong"))?.focus({ preventScroll: true });
  place.scrollIntoView({ block: "center" });
}

/** Take a key that was shown once off the page. */
export function forgetSecret() {
  byId("shown-once").hidden = true;
  byId("shown-once").replaceChildren();
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

/** The key that the dialog changes; null when it makes one. @type {any} */
let changed = null;

const boxes = () => [...byId("key-models").querySelectorAll("input")];

function wanted() {
  const requests = field("key-requests").value.trim();
  const expires = field("key-expires").value;
  return {
    name: field("key-name").value.trim(),
    models: field("key-all").checked ? null : boxes().filter((box) => box.checked).map((box) => box.value),
    requests_per_day: requests ? Number(requests) : null,
    budget_usd_per_day: field("key-budget").value.trim() || null,
    expires_at_unix_s: expires ? Math.floor(Date.parse(`${expires}T00:00:00Z`) / 1000) : null,
  };
}

/**
 * Open the dialog.
 * @param {any} key to change; null for a new one
 */
function ask(key) {
  changed = key;
  notice(byId("key-notice"), null);
  /** @type {HTMLFormElement} */ (byId("key-form")).reset();
  byId("key-dialog-title").textContent = key ? `Change "${key.name}"` : "Create a key";
  byId("key-create").textContent = key ? "Save" : "Create";
  field("key-all").checked = !key?.models;
  for (const box of boxes()) {
    box.checked = Boolean(key?.models?.includes(box.value));
    box.disabled = field("key-all").checked;
  }
  field("key-name").value = key?.name ?? "";
  field("key-requests").value = key?.requests_per_day ?? "";
  field("key-budget").value = key?.budget_usd_per_day ?? "";
  field("key-expires").value = key?.expires_at_unix_s ? moment(key.expires_at_unix_s).slice(0, 10) : "";
  dialog.showModal();
}

/** @param {SubmitEvent} event */
async function save(event) {
  event.preventDefault();
  const button = /** @type {HTMLButtonElement} */ (byId("key-create"));
  const key = wanted();
  if (key.models?.length === 0) return notice(byId("key-notice"), "Choose a model, or all of them.");
  button.disabled = true;
  try {
    const saved = changed
      ? await json(`account/v1/keys/${changed.key_id}`, { method: "PATCH", body: changes(changed, key) })
      : await json("account/v1/keys", { method: "POST", body: key });
    dialog.close(); // first: it takes the focus back to where it was
    if (!changed) showOnce(saved.key);
    await showKeys();
  } catch (error) {
    notice(byId("key-notice"), error instanceof Refusal ? error.message : "That did not work. Try again.");
  } finally {
    button.disabled = false;
  }
}

/**
 * What differs: what the dialog does not show, such as the hour of an end, stays as it is.
 * @param {any} before
 * @param {ReturnType<typeof wanted>} after
 */
function changes(before, after) {
  const day = (/** @type {number | null} */ unixS) => unixS && Math.floor(unixS / 86_400);
  const same = (/** @type {string} */ name, /** @type {any} */ value) =>
    name === "expires_at_unix_s" ? day(before[name]) === day(value) : JSON.stringify(before[name]) === JSON.stringify(value);
  return Object.fromEntries(Object.entries(after).filter(([name, value]) => !same(name, value)));
}

/** @param {{id: string}[]} models that a key may be bound to */
export function offerModels(models) {
  trialModel = models[0]?.id ?? trialModel;
  byId("key-models").replaceChildren(
    ...models.map((model) => h("label", { class: "check" }, h("input", { type: "checkbox", value: model.id, disabled: true }), h("code", {}, model.id))),
  );
}

export function prepareKeys() {
  byId("key-all").addEventListener("change", () => {
    for (const box of boxes()) box.disabled = field("key-all").checked;
  });
  byId("new-key").addEventListener("click", () => ask(null));
  byId("key-cancel").addEventListener("click", () => dialog.close());
  byId("key-form").addEventListener("submit", save);
}
