// @ts-check
// Times as people read them, in UTC, as both counters live by it.

/** @param {number} unixS */
export function moment(unixS) {
  return new Date(unixS * 1000).toISOString().slice(0, 16).replace("T", " ");
}

/** @param {number} unixS */
export const clock = (unixS) => new Date(unixS * 1000).toISOString().slice(11, 19);

/** How far the gateway's clock is ahead of this machine's, in milliseconds: the day ends by the gateway's. */
let aheadMs = 0;

/**
 * Learn the gateway's time from an answer that no cache has kept.
 * @param {Headers} headers
 */
export function learnTime(headers) {
  const told = Date.parse(headers.get("date") ?? "");
  if (Number.isFinite(told) && headers.get("cache-control") === "no-store") aheadMs = told - Date.now();
}

/** @returns {number} the gateway's time, in milliseconds */
export const now = () => Date.now() + aheadMs;

/**
 * The days up to today, oldest first, as the gateway writes them.
 * @param {number} count
 */
export const lastDays = (count) =>
  Array.from({ length: count }, (_, index) => new Date(now() - (count - 1 - index) * 86_400_000).toISOString().slice(0, 10));

/**
 * What is left until a moment, as hours, minutes and seconds.
 * @param {number} unixS
 */
export function until(unixS) {
  const left = Math.max(0, unixS - Math.floor(now() / 1000));
  const parts = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  return parts.map((part) => part.toString().padStart(2, "0")).join(":");
}
