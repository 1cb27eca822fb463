// @ts-check
// Requests to the gateway from its own pages. Addresses are relative to the page's base, so that they work below a
// stage's prefix. A failure is a `Refusal` with the gateway's own words; money stays the decimal string it came as.
import { learnTime } from "./time.js";

/** What the gateway answered instead: its error, in its words. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {{message?: string, code?: string, type?: string, [name: string]: unknown}} error
   * @param {Headers} headers
   */
  constructor(status, error, headers) {
    super(error.message ?? `The gateway answered ${status}.`);
    this.status = status;
    this.code = error.code ?? "";
    this.facts = error;
    this.headers = headers;
  }
}

/** Proves to the gateway that a request comes from its own pages. The cookie that it belongs to is not for scripts. */
let csrf = "";

const MARK = "jatevo-signed-in";

/**
 * Keep the proof of a session; null forgets it. All tabs learn whether there is a session, none learns more.
 * @param {string | null} proof
 */
export function rememberSession(proof) {
  csrf = proof ?? "";
  try {
    if (proof === null) localStorage.removeItem(MARK);
    else localStorage.setItem(MARK, "1");
  } catch {
    // A browser that stores nothing is asked each time.
  }
}

/** @returns {boolean} whether it is worth asking who is signed in: whoever never was need not wait for a no */
export function maybeSignedIn() {
  try {
    return localStorage.getItem(MARK) !== null;
  } catch {
    return true;
  }
}

/** Ask who is signed in, and keep the proof of the session. */
export async function session() {
  const found = await json("account/v1/auth/session");
  rememberSession(found.csrf);
  return found;
}

/**
 * Send a request and return its answer; throws `Refusal` for any but a success.
 * @param {string} path
 * @param {{method?: string, body?: unknown, key?: string, signal?: AbortSignal}} [options]
 */
export async function send(path, { method = "GET", body, key, signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body !== undefined) headers["content-type"] = "application/json";
  if (key) headers.authorization = `Bearer ${key}`;
  if (method !== "GET" && csrf) headers["x-csrf-token"] = csrf;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? null : JSON.stringify(body), signal: signal ?? null });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal(0, { message: "The gateway cannot be reached. Check your connection." }, new Headers());
  }
  learnTime(answer.headers);
  if (!answer.ok) throw await refusalOf(answer);
  return answer;
}

/** @param {Response} answer */
async function refusalOf(answer) {
  try {
    const { error } = await answer.json();
    return new Refusal(answer.status, error ?? {}, answer.headers);
  } catch {
    return new Refusal(answer.status, {}, answer.headers);
  }
}

/**
 * Send a request and return its JSON.
 * @param {string} path
 * @param {Parameters<typeof send>[1]} [options]
 * @returns {Promise<any>}
 */
export async function json(path, options) {
  const answer = await send(path, options);
  return answer.status === 204 ? null : answer.json();
}

/**
 * Yield the data of each server-sent event of an answer, as text.
 * @param {Response} answer
 */
export async function* events(answer) {
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      buffer += value;
      const frames = buffer.split("\n\n");
      buffer = frames.pop() ?? "";
      for (const frame of frames) {
        const data = frame.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
        if (data.length) yield data.join("\n");
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
