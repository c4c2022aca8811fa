/** Amounts of money, exactly. */

const DIGITS = 12;

/** A decimal number of USD as pico-USD. */
export function parseUsd(text: string): bigint {
  const match = /^(-?)(\d+)(?:\.(\d{1,12}))?$/.exec(text);
  if (match === null) throw new RangeError(`not an amount: ${JSON.stringify(text)}`);
  const [, sign = '', whole = '', fraction = ''] = match;
  const amount = BigInt(whole + fraction.padEnd(DIGITS, '0'));
  return sign === '-' ? -amount : amount;
}
