/**
 * Money as whole numbers: pico-USD (10⁻¹² USD) in a bigint. A price of 0.0375 USD per million tokens is 37,500 pico-USD per
 * token, so every published price per token is a whole number of them, and a cost is a sum of whole products.
 */

/** Pico-USD in one USD. */
export const PICO_USD_PER_USD = 1_000_000_000_000n;

/** Digits after the point of an amount in pico-USD, written in USD. */
const PICO_DIGITS = 12;

/** Digits after the point of a price per million tokens: the last one is a pico-USD per token. */
const RATE_DIGITS = 6;

/** Highest price there can be, in pico-USD per token: 10,000 USD per million tokens. */
const MAX_RATE = 10_000_000_000n;

/** Most a single request can cost by its own price, in USD: in pico-USD a number that JSON carries exactly. */
const MAX_REQUEST_USD = 9_000n;

/** Basis points of a factor of one. */
export const BASIS_POINTS = 10_000n;

/** Largest factor: a hundred times the price. */
const MAX_FACTOR = 100n * BASIS_POINTS;

/**
 * USD per million tokens, as a decimal text or a number of the configuration, in pico-USD per token; null where it is no
 * price of at most 10,000 with at most six digits after the point.
 *
 * A number is taken by its shortest decimal form. That is what was written, for a price has no more than eleven digits.
 */
export function parseRate(usdPerMillion: string | number): bigint | null {
  return bounded(parseDecimal(String(usdPerMillion), RATE_DIGITS), MAX_RATE);
}

/** USD, written likewise with at most twelve digits after the point, in pico-USD. */
export function parseUsd(usd: string | number): bigint | null {
  return bounded(parseDecimal(String(usd), PICO_DIGITS), MAX_REQUEST_USD * PICO_USD_PER_USD);
}

/** A factor from 0 to 100 with at most four digits after the point, in basis points. */
export function parseFactor(factor: string | number): bigint | null {
  return bounded(parseDecimal(String(factor), 4), MAX_FACTOR);
}

/** An amount in USD as a plain decimal number, exact, without needless zeros: `0.001234567`. */
export function formatUsd(picoUsd: bigint): string {
  const sign = picoUsd < 0n ? '-' : '';
  const digits = (picoUsd < 0n ? -picoUsd : picoUsd).toString().padStart(PICO_DIGITS + 1, '0');
  const fraction = digits.slice(-PICO_DIGITS).replace(/0+$/, '');
  return `${sign}${digits.slice(0, -PICO_DIGITS)}${fraction === '' ? '' : `.${fraction}`}`;
}

/** An amount in USD as a floating-point number, for what can carry nothing else (metrics). Never to be summed further. */
export function approximateUsd(picoUsd: bigint): number {
  return Number(formatUsd(picoUsd));
}

/** A decimal number without a sign times 10^digits; null for another text, and where it would not be whole. */
function parseDecimal(text: string, digits: number): bigint | null {
  const match = /^(\d{1,15})(?:\.(\d{1,15}))?(?:e-(\d{1,2}))?$/.exec(text);
  if (match === null) return null;
  const [, whole = '', fraction = '', exponent = '0'] = match;
  const shift = digits - fraction.length - Number(exponent);
  const all = BigInt(whole + fraction);
  if (shift >= 0) return all * 10n ** BigInt(shift);
  const divisor = 10n ** BigInt(-shift);
  return all % divisor === 0n ? all / divisor : null;
}

function bounded(value: bigint | null, most: bigint): bigint | null {
  return value === null || value > most ? null : value;
}
