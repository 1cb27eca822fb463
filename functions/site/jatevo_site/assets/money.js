// @ts-check
// Decimal strings of US dollars, as the gateway sends them. Whole nano-dollars in BigInt; no floating point touches money.

const NANO = 9;

/**
 * @param {string} text such as "11.00" or "-0.000000001"
 * @returns {bigint} nano-dollars
 */
export function nano(text) {
  const match = /^(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (!match) throw new Error(`not an amount: ${text}`);
  const digits = BigInt(`${match[2]}${(match[3] ?? "").padEnd(NANO, "0")}`);
  return match[1] ? -digits : digits;
}

/**
 * Show an amount of dollars: cents at least, more digits for small amounts, rounded down in the account's disfavour.
 * @param {string} text
 */
export function dollars(text) {
  const amount = nano(text);
  const size = amount < 0n ? -amount : amount;
  const whole = size / 10n ** 9n;
  const fraction = (size % 10n ** 9n).toString().padStart(NANO, "0");
  const needed = Math.max(2, Math.min(NANO, size === 0n || whole > 0n ? 2 : fraction.search(/[1-9]/) + 3));
  const grouped = whole.toString().replace(/\B(?=(\d{3})+$)/g, ",");
  return `${amount < 0n ? "−" : ""}$${grouped}.${fraction.slice(0, needed)}`;
}

/**
 * @param {string} one
 * @param {string} other
 * @returns {string} the difference, exact
 */
export function less(one, other) {
  const amount = nano(one) - nano(other);
  const digits = (amount < 0n ? -amount : amount).toString().padStart(NANO + 1, "0");
  return `${amount < 0n ? "-" : ""}${digits.slice(0, -NANO)}.${digits.slice(-NANO)}`;
}

/**
 * @param {string[]} amounts
 * @returns {string} their sum, exact
 */
export const total = (amounts) => amounts.reduce((sum, amount) => less(sum, less("0", amount)), "0");

/**
 * Share of a limit that is used, in whole percent, for a meter.
 * @param {string} used
 * @param {string} limit
 */
export function percent(used, limit) {
  const of = nano(limit);
  if (of <= 0n) return nano(used) > 0n ? 100 : 0;
  const share = (nano(used) * 100n) / of;
  return Number(share < 0n ? 0n : share > 100n ? 100n : share);
}

/** @param {number | bigint} count */
export const grouped = (count) => count.toString().replace(/\B(?=(\d{3})+$)/g, ",");
