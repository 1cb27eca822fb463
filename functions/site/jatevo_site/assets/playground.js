// @ts-check
// The playground: a conversation with one model, streamed. Without a key it runs on the visitors' quota, with a key or a
// session on one's own; what an answer cost and what remains come with the answer.
import { byId, copies, field, fill, h, notice, tabs } from "./dom.js";
import { Refusal, events, json, maybeSignedIn, rememberSession, send, session } from "./http.js";
import { dollars, grouped, less, percent } from "./money.js";
import { snippet } from "./snippets.js";

/** @typedef {{role: "system" | "user" | "assistant", content: string}} Message */

/** @type {Message[]} */
const messages = [];
/** @type {AbortController | null} */
let running = null;
/** @type {"curl" | "python" | "js"} */
let language = "curl";

const CUT_OFF = "The connection broke before the answer ended. What was written until then is charged.";
const VISITOR = byId("who").textContent;
const QUOTAS = new Set(["request_quota_exhausted", "budget_exhausted", "projected_cost_exceeds_budget"]);
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
    model: value("model") || "auto",
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
  if (limit !== null && left !== null) showRequests(Number(limit) - Number(left), Number(limit));
  const budget = headers.get("x-jatevo-budget-limit-usd");
  const remaining = headers.get("x-jatevo-budget-remaining-usd");
  if (budget === null || remaining === null) return;
  if (money?.limit !== budget) money = left !== null && Number(limit) - Number(left) === 1 ? { limit: budget, left: budget } : null;
  showMoneyLeft(budget, remaining);
}

/**
 * @param {number} used
 * @param {number} limit
 */
function showRequests(used, limit) {
  byId("left-a").replaceChildren(grouped(used), h("small", {}, ` / ${grouped(limit)} daily`));
  fill("left-a-meter", limit > 0 ? Math.min(100, Math.floor((100 * used) / limit)) : 0);
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
  byId("left-b").replaceChildren(dollars(remaining), h("small", {}, ` left of ${dollars(budget)}`));
  fill("left-b-meter", 100 - percent(remaining, budget));
}

/**
 * Show an answer as it comes. An answer without its end was cut off: that is thrown, like an error.
 * @param {Response} answer
 * @param {{turn: HTMLElement, text: HTMLElement}} shown
 * @returns {Promise<string>} what was said
 */
async function read(answer, { turn, text }) {
  let said = "";
  for await (const data of events(answer)) {
    if (data === "[DONE]") return said;
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
  throw new Refusal(answer.status, { message: CUT_OFF }, new Headers());
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
    await session();
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
    if (value("key") || maybeSignedIn()) await showWhose().catch(whoseFailed);
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
  else takeBack(turn);
  if (error instanceof DOMException && error.name === "AbortError") {
    if (said) turn.append(h("p", { class: "cost" }, "stopped; what was written until then is charged"));
    return;
  }
  if (error instanceof Refusal) showLeft(error.headers);
  notice(byId("notice"), error instanceof Refusal ? error.message : CUT_OFF);
  if (error instanceof Refusal && QUOTAS.has(error.code) && !maybeSignedIn() && !value("key")) {
    byId("notice").append(" ", h("a", { href: "dashboard" }, "Connect a wallet for limits of your own."));
  }
}

/**
 * A question that got no answer goes back to where it was written.
 * @param {HTMLElement} turn that was to be the answer
 */
function takeBack(turn) {
  const asked = messages.pop();
  turn.previousElementSibling?.remove();
  turn.remove();
  byId("empty").hidden = messages.length > 0;
  if (asked && !prompt.value) prompt.value = asked.content;
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
  byId("code").setAttribute("aria-labelledby", `tab-${name}`);
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
  tabs(choose);
  copies(byId("copy"), byId("code"));
}

/** Whether the proof of a session has been fetched: it comes once for a page. */
let proven = false;

/** Whose account is spent from, and what it has left. A visitor learns that from the first answer. */
async function showWhose() {
  const key = value("key");
  if (key) {
    const { account } = await json("v1/usage", { key });
    showAccount(account.requests_used, account.requests_limit, account.budget_limit_usd, account.budget_remaining_usd);
    byId("who").textContent = "Spending from the account of this key.";
  } else if (maybeSignedIn()) {
    if (!proven) await session();
    proven = true;
    const { limits, today } = await json("account/v1/budget");
    showAccount(today.requests_used, limits.requests_per_day, limits.budget_usd_per_day, today.budget_remaining_usd);
    byId("who").textContent = "You are signed in: spending from your own account.";
  } else showVisitor();
}

/**
 * @param {number} used
 * @param {number} requests
 * @param {string} limit
 * @param {string} left
 */
function showAccount(used, requests, limit, left) {
  money = { limit, left };
  showRequests(used, requests);
  showMoneyLeft(limit, left);
}

function showVisitor() {
  byId("who").textContent = VISITOR;
  for (const id of ["left-a", "left-b"]) {
    byId(id).replaceChildren("–", h("small", {}, " after an answer"));
    fill(`${id}-meter`, 0);
  }
}

/** @param {unknown} error */
function whoseFailed(error) {
  if (!(error instanceof Refusal)) throw error;
  if (error.status === 401 && !value("key")) {
    rememberSession(null);
    showVisitor();
  }
}

async function loadModels() {
  const key = value("key");
  notice(byId("notice"), null);
  try {
    const models = key ? (await json("v1/models", { key })).data : (await json("account/v1/pricing")).models;
    const options = models.map((/** @type {{id: string}} */ model) => h("option", { value: model.id }, model.id));
    const chosen = value("model");
    byId("model").replaceChildren(...(options.length ? options : [h("option", { value: "" }, "No model is on sale")]));
    if (options.some((/** @type {HTMLElement} */ option) => option.getAttribute("value") === chosen)) field("model").value = chosen;
    await showWhose().catch(whoseFailed);
  } catch (error) {
    notice(byId("notice"), error instanceof Refusal ? error.message : "The models cannot be listed.");
    byId("model").replaceChildren(h("option", { value: "auto" }, "auto"));
  }
  showCode();
}

addListeners();
showCode();
loadModels();
