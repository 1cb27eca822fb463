// @ts-check
// The playground: a conversation with one model, streamed. Without a key it runs on the visitors' quota, with a key or a
// session on one's own; what an answer cost and what remains come with the answer.
import { byId, field, fill, h, notice } from "./dom.js";
import { Refusal, events, json, rememberCsrf, send } from "./http.js";
import { dollars, grouped, less, percent } from "./money.js";
import { snippet } from "./snippets.js";

/** @typedef {{role: "system" | "user" | "assistant", content: string}} Message */

/** @type {Message[]} */
const messages = [];
/** @type {AbortController | null} */
let running = null;
/** @type {"curl" | "python" | "js"} */
let language = "curl";

const PASSING = new Set(["concurrency_limit", "budget_in_flight"]);

const base = document.baseURI.replace(/\/$/, "");
const log = byId("log");
const prompt = /** @type {HTMLTextAreaElement} */ (byId("prompt"));
const value = (/** @type {string} */ id) => field(id).value.trim();

/** @param {Message[]} said */
function ask(said) {
  const system = value("system");
  const cap = Number(value("cap"));
  return {
    model: value("model"),
    messages: system ? [{ role: "system", content: system }, ...said] : said,
    temperature: Number(value("temperature")),
    ...(Number.isInteger(cap) && cap > 0 ? { max_tokens: cap } : {}),
  };
}

function showCode() {
  const said = messages.length ? messages : [{ role: /** @type {const} */ ("user"), content: prompt.value.trim() || "Hello" }];
  byId("code").textContent = snippet(language, base, ask(said));
}

/**
 * @param {"user" | "assistant"} role
 * @param {string} content
 */
function addTurn(role, content) {
  byId("empty").hidden = true;
  const text = h("p", { class: "text" }, content);
  const turn = h("article", { class: `turn ${role}` }, h("p", { class: "by" }, role === "user" ? "You" : value("model")), text);
  log.append(turn);
  log.scrollTop = log.scrollHeight;
  return { turn, text };
}

/** @param {boolean} busy */
function setBusy(busy) {
  byId("send").hidden = busy;
  byId("stop").hidden = !busy;
  log.setAttribute("aria-busy", String(busy));
}

/**
 * What is known of the budget: the headers of a stream come while its worst case is held, so what is left after it is told
 * from what was left before.
 * @type {{limit: string, left: string} | null}
 */
let money = null;

/** @param {Headers} headers */
function showLeft(headers) {
  const limit = headers.get("x-ratelimit-limit-requests");
  const left = headers.get("x-ratelimit-remaining-requests");
  if (limit !== null && left !== null) {
    const used = Number(limit) - Number(left);
    byId("left-a").replaceChildren(grouped(used), h("small", {}, `/ ${grouped(Number(limit))} daily`));
    fill("left-a-meter", Number(limit) > 0 ? Math.min(100, Math.round((100 * used) / Number(limit))) : 0);
  }
  const budget = headers.get("x-jatevo-budget-limit-usd");
  const remaining = headers.get("x-jatevo-budget-remaining-usd");
  if (budget === null || remaining === null) return;
  if (money?.limit !== budget) money = left !== null && Number(limit) - Number(left) === 1 ? { limit: budget, left: budget } : null;
  showMoneyLeft(budget, remaining);
}

/** @param {string | undefined} charge of the answer that has come */
function showCharged(charge) {
  if (!charge || !money) return;
  money = { limit: money.limit, left: less(money.left, charge) };
  showMoneyLeft(money.limit, money.left);
}

/**
 * @param {string} budget
 * @param {string} remaining
 */
function showMoneyLeft(budget, remaining) {
  byId("left-b").replaceChildren(dollars(remaining), h("small", {}, `left of ${dollars(budget)}`));
  fill("left-b-meter", 100 - percent(remaining, budget));
}

/**
 * @param {Response} answer
 * @param {{turn: HTMLElement, text: HTMLElement}} shown
 * @returns {Promise<string>} what was said
 */
async function read(answer, { turn, text }) {
  let said = "";
  for await (const data of events(answer)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Refusal(answer.status, chunk.error, answer.headers);
    const piece = chunk.choices?.[0]?.delta?.content;
    if (piece) {
      said += piece;
      const follow = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
      text.textContent = said;
      if (follow) log.scrollTop = log.scrollHeight;
    }
    if (chunk.usage) {
      turn.append(h("p", { class: "cost" }, cost(chunk.usage)));
      showCharged(chunk.usage.cost_usd);
    }
  }
  return said;
}

/** @param {any} usage */
const cost = (usage) =>
  `${grouped(usage.prompt_tokens)} in · ${grouped(usage.completion_tokens)} out` + (usage.cost_usd ? ` · ${dollars(usage.cost_usd)}` : "");

/**
 * Send a request; in a tab that has not seen the session yet, fetch its proof when it is missed.
 * @param {Parameters<typeof send>[1]} options
 */
async function sent(options) {
  const path = "playground/v1/chat/completions";
  try {
    return await send(path, options);
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== "csrf_refused") throw error;
    rememberCsrf((await json("account/v1/auth/session")).csrf);
    return send(path, options);
  }
}

/**
 * Ask; and again where what stands in the way passes in seconds, such as an answer just stopped that is being settled.
 * @param {unknown} body
 * @param {AbortSignal} signal
 */
async function sendPatiently(body, signal) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await sent({ method: "POST", body, key: value("key"), signal });
    } catch (error) {
      const passes = error instanceof Refusal && PASSING.has(error.code) && tries < 4;
      if (!passes) throw error;
      const seconds = Math.min(5, Number(error.headers.get("retry-after")) || 1);
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
      signal.throwIfAborted();
    }
  }
}

/** @param {string} content */
async function converse(content) {
  notice(byId("notice"), null);
  messages.push({ role: "user", content });
  addTurn("user", content);
  const shown = addTurn("assistant", "");
  shown.turn.classList.add("busy");
  running = new AbortController();
  setBusy(true);
  try {
    const body = { ...ask(messages), stream: true, stream_options: { include_usage: true } };
    const answer = await sendPatiently(body, running.signal);
    showLeft(answer.headers);
    messages.push({ role: "assistant", content: await read(answer, shown) });
  } catch (error) {
    settleFailure(error, shown);
  } finally {
    running = null;
    shown.turn.classList.remove("busy");
    setBusy(false);
    showCode();
    prompt.focus();
  }
}

/**
 * @param {unknown} error
 * @param {{turn: HTMLElement, text: HTMLElement}} shown
 */
function settleFailure(error, { turn, text }) {
  const said = text.textContent ?? "";
  if (said) messages.push({ role: "assistant", content: said });
  else {
    turn.remove();
    messages.pop();
  }
  if (error instanceof DOMException && error.name === "AbortError") {
    if (said) turn.append(h("p", { class: "cost" }, "stopped; what was written until then is charged"));
    return;
  }
  if (error instanceof Refusal) showLeft(error.headers);
  notice(byId("notice"), error instanceof Refusal ? error.message : "The answer could not be read. Try again.");
}

function clear() {
  running?.abort();
  messages.length = 0;
  for (const turn of [...log.querySelectorAll(".turn")]) turn.remove();
  byId("empty").hidden = false;
  notice(byId("notice"), null);
  showCode();
}

/** @param {string} name */
function choose(name) {
  language = /** @type {typeof language} */ (name);
  for (const tab of document.querySelectorAll('[role="tab"]')) {
    const on = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", String(on));
    tab.setAttribute("tabindex", on ? "0" : "-1");
    if (on) byId("code").setAttribute("aria-labelledby", tab.id);
  }
  showCode();
}

function addListeners() {
  byId("prompt-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const content = prompt.value.trim();
    if (!content || running) return;
    prompt.value = "";
    converse(content);
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    /** @type {HTMLFormElement} */ (byId("prompt-form")).requestSubmit();
  });
  byId("stop").addEventListener("click", () => running?.abort());
  byId("clear").addEventListener("click", clear);
  byId("ask").addEventListener("submit", (event) => event.preventDefault());
  byId("ask").addEventListener("input", () => {
    byId("temperature-out").textContent = Number(value("temperature")).toFixed(1);
    showCode();
  });
  byId("key").addEventListener("change", () => {
    money = null;
    loadModels();
  });
  prompt.addEventListener("input", showCode);
  for (const idea of document.querySelectorAll("[data-idea]")) {
    idea.addEventListener("click", () => converse(idea.getAttribute("data-idea") ?? ""));
  }
  const tabs = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('[role="tab"]')]);
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => choose(tab.id.replace("tab-", "")));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      next.focus();
      choose(next.id.replace("tab-", ""));
    });
  }
  byId("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(byId("code").textContent ?? "");
    byId("copy").textContent = "Copied";
    setTimeout(() => (byId("copy").textContent = "Copy"), 1500);
  });
}

async function loadModels() {
  const key = value("key");
  notice(byId("notice"), null);
  try {
    const models = key ? (await json("v1/models", { key })).data : (await json("account/v1/pricing")).models;
    const options = models.map((/** @type {{id: string}} */ model) => h("option", { value: model.id }, model.id));
    byId("model").replaceChildren(...(options.length ? options : [h("option", { value: "" }, "No model is on sale")]));
  } catch (error) {
    notice(byId("notice"), error instanceof Refusal ? error.message : "The models cannot be listed.");
  }
  showCode();
}

addListeners();
showCode();
loadModels();
