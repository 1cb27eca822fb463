// @ts-check
// Requests to the gateway from its own pages. Addresses are relative to the page's base, so that they work below a
// stage's prefix. A failure is a `Refusal` with the gateway's own words; money stays the decimal string it came as.

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

/** @returns {string} the value that proves to the gateway that a request comes from its own pages */
const csrf = () => {
  try {
    return sessionStorage.getItem("jatevo-csrf") ?? "";
  } catch {
    return "";
  }
};

/** @param {string} value */
export const rememberCsrf = (value) => {
  try {
    sessionStorage.setItem("jatevo-csrf", value);
  } catch {
    // Without storage the session ends with the page.
  }
};

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
  if (method !== "GET" && csrf()) headers["x-csrf-token"] = csrf();
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? null : JSON.stringify(body), signal: signal ?? null });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal(0, { message: "The gateway cannot be reached. Check your connection and try again." }, new Headers());
  }
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
