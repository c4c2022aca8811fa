import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  costOf,
  countedTokens,
  type Price,
  pricedModels,
  builtInPrice,
  readPrice,
  SERVICE_TIERS,
  TOKEN_KINDS,
  type TokenUsage,
} from '../../src/prices/index.js';
import { BOOK } from '../../src/prices/data/book.js';

const tokens = fc.oneof(fc.nat(5), fc.nat(300_000), fc.integer({ min: 0, max: 0xffff_ffff }));

/** Whatever a provider may claim, its parts larger than the whole included. */
const anyUsage: fc.Arbitrary<TokenUsage> = fc.record({
  inputTokens: tokens,
  cachedInputTokens: tokens,
  cacheWriteTokens: tokens,
  cacheWrite1hTokens: tokens,
  audioInputTokens: tokens,
  imageInputTokens: tokens,
  outputTokens: tokens,
  reasoningTokens: tokens,
  audioOutputTokens: tokens,
  imageOutputTokens: tokens,
});

/** A usage whose parts fit into the whole. */
const soundUsage: fc.Arbitrary<TokenUsage> = fc
  .record(Object.fromEntries(TOKEN_KINDS.map((kind) => [kind, fc.nat(1_000_000)])))
  .map((of) => ({
    inputTokens:
      of['input']! +
      of['cachedInput']! +
      of['cacheWrite']! +
      of['cacheWrite1h']! +
      of['audioInput']! +
      of['imageInput']!,
    cachedInputTokens: of['cachedInput']!,
    cacheWriteTokens: of['cacheWrite']! + of['cacheWrite1h']!,
    cacheWrite1hTokens: of['cacheWrite1h']!,
    audioInputTokens: of['audioInput']!,
    imageInputTokens: of['imageInput']!,
    outputTokens: of['output']! + of['reasoning']! + of['audioOutput']! + of['imageOutput']!,
    reasoningTokens: of['reasoning']!,
    audioOutputTokens: of['audioOutput']!,
    imageOutputTokens: of['imageOutput']!,
  }));

const rate = fc.bigInt({ min: 0n, max: 10_000_000_000n });

/** Prices with a rate of its own for every kind, without tiers. */
const flatPrice: fc.Arbitrary<Price> = fc
  .record(Object.fromEntries(TOKEN_KINDS.map((kind) => [kind, rate])))
  .map((rates) => ({
    standard: [{ aboveInputTokens: 0, rates: rates as Price['standard'][0]['rates'] }],
    services: {},
    regions: {},
    request: 0n,
  }));

/** Every price of the book. */
const BOOK_PRICES = Object.keys(BOOK).flatMap((name) =>
  pricedModels({ name, dialect: 'openai' }).map(
    (model) => [`${name}/${model}`, builtInPrice({ name, dialect: 'openai' }, model)!] as const,
  ),
);
const bookPrice = fc.constantFrom(...BOOK_PRICES).map(([, price]) => price);
const context = fc.record(
  { serviceTier: fc.constantFrom(...SERVICE_TIERS), factor: fc.bigInt({ min: 0n, max: 1_000_000n }) },
  { requiredKeys: [] },
);

function plus(a: TokenUsage, b: TokenUsage): TokenUsage {
  const sums = Object.keys(a).map((name) => [
    name,
    a[name as keyof TokenUsage] + b[name as keyof TokenUsage],
  ]);
  return Object.fromEntries(sums) as TokenUsage;
}

describe('what a request costs', () => {
  it('counts every token once, whatever the parts claim', () => {
    fc.assert(
      fc.property(anyUsage, (usage) => {
        const counted = Object.values(countedTokens(usage));
        expect(counted.every((count) => count >= 0)).toBe(true);
        expect(counted.reduce((sum, count) => sum + count, 0)).toBe(usage.inputTokens + usage.outputTokens);
      }),
    );
  });

  it('is what every token costs at one price, when all kinds have it', () => {
    fc.assert(
      fc.property(anyUsage, rate, (usage, one) => {
        const price = readPrice(`m|i${one} o${one}`);
        expect(costOf(usage, price)).toBe(BigInt(usage.inputTokens + usage.outputTokens) * one);
      }),
    );
  });

  it('is the sum over the kinds of tokens × rate', () => {
    fc.assert(
      fc.property(anyUsage, flatPrice, (usage, price) => {
        const counted = countedTokens(usage);
        const { rates } = price.standard[0];
        const sum = TOKEN_KINDS.reduce((total, kind) => total + BigInt(counted[kind]) * rates[kind], 0n);
        expect(costOf(usage, price)).toBe(sum);
      }),
    );
  });

  it('adds up: two requests cost together what one of all their tokens does', () => {
    fc.assert(
      fc.property(soundUsage, soundUsage, flatPrice, (a, b, price) => {
        expect(costOf(a, price) + costOf(b, price)).toBe(costOf(plus(a, b), price));
      }),
    );
  });

  it('is never negative, and at most what all tokens cost at the highest rate', () => {
    fc.assert(
      fc.property(anyUsage, bookPrice, context, (usage, price, inContext) => {
        const cost = costOf(usage, price, inContext);
        expect(cost).toBeGreaterThanOrEqual(0n);
        const all = [price.standard, ...Object.values(price.services)].flat();
        const highest = all
          .flatMap(({ rates }) => Object.values(rates))
          .reduce((a, b) => (a > b ? a : b), 0n);
        const most = price.request + BigInt(usage.inputTokens + usage.outputTokens) * highest;
        expect(cost).toBeLessThanOrEqual((most * (inContext.factor ?? 10_000n)) / 10_000n + 1n);
      }),
    );
  });

  it('never falls when there are more tokens of a kind', () => {
    fc.assert(
      fc.property(soundUsage, soundUsage, bookPrice, context, (usage, more, price, inContext) => {
        const less = costOf(usage, price, inContext);
        expect(costOf(plus(usage, more), price, inContext)).toBeGreaterThanOrEqual(less);
      }),
      { numRuns: 1_000 },
    );
  });

  it('is rounded half up to a pico-USD by factors, and by nothing else', () => {
    const price = readPrice('m|i1 o1|@eu:11000');
    const usage = (inputTokens: number): TokenUsage => ({ ...ONE, inputTokens });
    expect(costOf(usage(5), price, { region: 'eu' })).toBe(6n); // 5.5
    expect(costOf(usage(4), price, { region: 'eu' })).toBe(4n); // 4.4
    expect(costOf(usage(5), price, { region: 'mars' })).toBe(5n);
    expect(costOf(usage(5), price, { region: 'eu', factor: 5_000n })).toBe(3n); // 2.75
    expect(costOf(usage(5), price, { factor: 0n })).toBe(0n);
  });
});

const ONE: TokenUsage = {
  inputTokens: 1,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  audioInputTokens: 0,
  imageInputTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  audioOutputTokens: 0,
  imageOutputTokens: 0,
};

describe('the built-in book', () => {
  it('never asks less beyond a size of prompt, nor for a write than for a prompt', () => {
    const wrong = BOOK_PRICES.filter(([, price]) =>
      [price.standard, ...Object.values(price.services)].some((tiers) =>
        tiers.some(({ rates }, at) => {
          const below = tiers[at - 1]?.rates ?? rates;
          const fallen = TOKEN_KINDS.some((kind) => rates[kind] < below[kind]);
          return fallen || rates.cacheWrite < rates.input || rates.cacheWrite1h < rates.cacheWrite;
        }),
      ),
    );
    expect(wrong.map(([name]) => name)).toEqual([]);
  });

  it('has a price above zero for all but what runs at home', () => {
    const free = BOOK_PRICES.filter(
      ([, { standard, request }]) =>
        request === 0n && Object.values(standard[0].rates).every((one) => one === 0n),
    );
    expect(free.map(([name]) => name).filter((name) => !/^ollama\/|moderation/.test(name))).toEqual([]);
  });
});
