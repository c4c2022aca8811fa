/**
 * The data plane computes costs by the same arithmetic. What it is held to is written here: the hand-checked examples and
 * prices and usages made up by a generator with a fixed seed, as the snapshot has them, and what they cost by `costOf`.
 * `crates/pipeline/tests/price.rs` computes them again.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SERVICE_TIER_LABELS } from '../../src/bridge/generated/record.js';
import {
  builtInPrice,
  type ContextTiers,
  costOf,
  type Price,
  type PriceContext,
  type Rates,
  type ServiceTier,
  TOKEN_KINDS,
  type TokenUsage,
} from '../../src/prices/index.js';
import { CATALOGUE } from '../../src/providers/catalogue.js';
import { snapshotPrice } from '../../src/snapshot/prices.js';
import { EXAMPLES } from './examples.js';

const FILE = '../../../crates/pipeline/tests/data/prices.json';
const MADE_UP = 120;
const SEED = 17;
const MAX_COST = 2n ** 63n - 1n;

const USAGE_FIELDS = [
  'inputTokens',
  'cachedInputTokens',
  'cacheWriteTokens',
  'cacheWrite1hTokens',
  'audioInputTokens',
  'imageInputTokens',
  'outputTokens',
  'reasoningTokens',
  'audioOutputTokens',
  'imageOutputTokens',
] as const satisfies (keyof TokenUsage)[];

/** One line of the file. Usage is in the order of the fields above. */
function line(name: string, usage: Partial<TokenUsage>, price: Price, context: PriceContext): string {
  const whole = Object.fromEntries(USAGE_FIELDS.map((field) => [field, usage[field] ?? 0])) as Record<
    keyof TokenUsage,
    number
  >;
  const cost = costOf(whole, price, context);
  const { serviceTier, ...rest } = context;
  return JSON.stringify({
    name,
    usage: USAGE_FIELDS.map((field) => whole[field]),
    service_tier: serviceTier === undefined ? 0 : SERVICE_TIER_LABELS.indexOf(serviceTier),
    cost: String(cost > MAX_COST ? MAX_COST : cost),
    price: snapshotPrice({ price, context: rest }),
  });
}

function examples(): string[] {
  return EXAMPLES.map(({ provider: name, model, title, usage, context }) => {
    const { dialect } = CATALOGUE.find((row) => row.name === name)!;
    return line(`${name} ${model}: ${title}`, usage, builtInPrice({ name, dialect }, model)!, context ?? {});
  });
}

const tokens = fc.oneof(fc.nat(5), fc.nat(300_000), fc.integer({ min: 0, max: 0xffff_ffff }));
const anyUsage: fc.Arbitrary<TokenUsage> = fc
  .tuple(...USAGE_FIELDS.map(() => tokens))
  .map((counts) => Object.fromEntries(USAGE_FIELDS.map((field, at) => [field, counts[at]])) as never);
const rate = fc.bigInt({ min: 0n, max: 10_000_000_000n });
const anyRates: fc.Arbitrary<Rates> = fc
  .tuple(...TOKEN_KINDS.map(() => rate))
  .map((each) => Object.fromEntries(TOKEN_KINDS.map((kind, at) => [kind, each[at]])) as never);
const tiers: fc.Arbitrary<ContextTiers> = fc
  .tuple(anyRates, fc.uniqueArray(fc.integer({ min: 1, max: 400_000 }), { maxLength: 2 }), anyRates, anyRates)
  .map(([first, bounds, ...others]) => [
    { aboveInputTokens: 0, rates: first },
    ...bounds
      .toSorted((a, b) => a - b)
      .map((aboveInputTokens, at) => ({ aboveInputTokens, rates: others[at]! })),
  ]);
const anyPrice: fc.Arbitrary<Price> = fc.record({
  standard: tiers,
  services: fc.record({ flex: tiers, priority: tiers, batch: tiers }, { requiredKeys: [] }),
  regions: fc.constant({ eu: 11_000n, odd: 10_033n }),
  request: fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 9_000n * 10n ** 12n })),
});
const anyContext: fc.Arbitrary<PriceContext> = fc.record(
  {
    serviceTier: fc.constantFrom<ServiceTier>('flex', 'priority', 'batch'),
    region: fc.constantFrom('eu', 'odd', 'unknown'),
    factor: fc.oneof(fc.bigInt({ min: 0n, max: 10_000n }), fc.bigInt({ min: 0n, max: 1_000_000n })),
  },
  { requiredKeys: [] },
);

function madeUp(): string[] {
  const cases = fc.sample(fc.tuple(anyUsage, anyPrice, anyContext), { numRuns: MADE_UP, seed: SEED });
  return cases.map(([usage, price, context], at) => line(`made up ${at + 1}`, usage, price, context));
}

// `npx vitest run -u ts/test/prices/same-in-rust.test.ts` writes the file again.
it('is what the data plane is tested against', async () => {
  const text = `[\n${[...examples(), ...madeUp()].join(',\n')}\n]\n`;
  await expect(text).toMatchFileSnapshot(FILE);
});
