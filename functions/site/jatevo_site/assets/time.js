// @ts-check
// Times as people read them, in UTC, as both counters live by it.

/** @param {number} unixS */
export function moment(unixS) {
  return new Date(unixS * 1000).toISOString().slice(0, 16).replace("T", " ");
}

/** @param {number} unixS */
export const clock = (unixS) => new Date(unixS * 1000).toISOString().slice(11, 19);

/**
 * What is left until a moment, as hours, minutes and seconds.
 * @param {number} unixS
 */
export function until(unixS) {
  const left = Math.max(0, unixS - Math.floor(Date.now() / 1000));
  const parts = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  return parts.map((part) => part.toString().padStart(2, "0")).join(":");
}
