import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { approximateUsd, formatUsd, parseFactor, parseRate, parseUsd } from '../../src/prices/index.js';

describe('prices as they are written', () => {
  it.each([
    ['2.50', 2_500_000n],
    [2.5, 2_500_000n],
    ['0.0375', 37_500n],
    [0.000001, 1n],
    ['1e-6', 1n],
    [0, 0n],
    ['10000', 10_000_000_000n],
  ])('%s USD per million tokens is %s pico-USD per token', (written, rate) =>
    expect(parseRate(written)).toBe(rate),
  );

  it.each([
    '',
    '-1',
    '1.0000001',
    '10000.000001',
    '1,5',
    '1e6',
    ' 1',
    'NaN',
    '0x10',
    '1e-7',
    Number.NaN,
    -1,
    1e21,
  ])('refuse %j', (written) => expect(parseRate(written)).toBeNull());

  it('read every number of YAML as the text it came from', () => {
    fc.assert(
      fc.property(fc.nat(9_999), fc.nat(999_999), (whole, millionths) => {
        const text = `${whole}.${String(millionths).padStart(6, '0')}`;
        const exact = BigInt(whole) * 1_000_000n + BigInt(millionths);
        expect(parseRate(text)).toBe(exact);
        expect(parseRate(Number(text))).toBe(exact);
      }),
    );
  });

  it('take USD per request and factors likewise', () => {
    expect(parseUsd('0.002')).toBe(2_000_000_000n);
    expect(parseUsd('0.000000000001')).toBe(1n);
    expect(parseUsd('0.0000000000001')).toBeNull();
    expect(parseUsd('9000.000000000001')).toBeNull();
    expect(parseFactor(1.1)).toBe(11_000n);
    expect(parseFactor('0.00001')).toBeNull();
    expect(parseFactor(101)).toBeNull();
  });
});

describe('amounts as they are shown', () => {
  it.each([
    [0n, '0'],
    [1n, '0.000000000001'],
    [1_234_567_000n, '0.001234567'],
    [1_000_000_000_000n, '1'],
    [-1_500_000_000_000n, '-1.5'],
    [2n ** 63n - 1n, '9223372.036854775807'],
  ])('%s pico-USD are %s USD', (amount, text) => expect(formatUsd(amount)).toBe(text));

  it('lead back to the amount', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 9_000n * 10n ** 12n }), (amount) => {
        expect(parseUsd(formatUsd(amount))).toBe(amount);
      }),
    );
  });

  it('are rounded where only a floating-point number will do', () => {
    expect(approximateUsd(1_234_567_890n)).toBe(0.00123456789);
  });
});
