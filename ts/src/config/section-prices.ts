/** Reads `prices`: what models cost, in USD as written, into whole pico-USD per token. */

import { isPattern } from '../governance/name-pattern.js';
import {
  type GivenRates,
  parseFactor,
  parseRate,
  parseUsd,
  type Price,
  type PriceRule,
  priceOfGroups,
  type TokenKind,
} from '../prices/index.js';
import { EXPECTED, type Format } from './schema-scalars.js';
import type { RawContextTier, RawPriceRule } from './schema-prices.js';
import { section, type Reading } from './section.js';
import { listChoices, quoteName, suggestion, type DocumentPath } from './wording.js';

/** Prices by their names in the file. */
const KINDS = {
  input: 'input',
  cached_input: 'cachedInput',
  cache_write: 'cacheWrite',
  cache_write_1h: 'cacheWrite1h',
  audio_input: 'audioInput',
  image_input: 'imageInput',
  output: 'output',
  reasoning: 'reasoning',
  audio_output: 'audioOutput',
  image_output: 'imageOutput',
} as const satisfies Record<string, TokenKind>;

const NAMES = Object.keys(KINDS) as (keyof typeof KINDS)[];

/** Every rule that can be read, in the order of the file. */
export function readPrices(reading: Reading, known: ReadonlySet<string> | null): PriceRule[] {
  return (section(reading, 'prices') ?? []).flatMap((raw, at) => {
    const path = ['prices', at];
    return reading.problems.isBroken(path) ? [] : [readRule(reading, raw, path, known)];
  });
}

function readRule(
  reading: Reading,
  raw: RawPriceRule,
  path: DocumentPath,
  known: ReadonlySet<string> | null,
): PriceRule {
  const provider = raw.provider ?? '*';
  checkProvider(reading, provider, [...path, 'provider'], known);
  const factor = amount(reading, raw.factor, 'factor', parseFactor, [...path, 'factor']);
  const price = readPrice(reading, raw, path);
  if (price === null && raw.factor === undefined && raw.service_tier === undefined) {
    const message =
      'found neither a price nor a change of one, expected input and output, factor or service_tier';
    reading.problems.error({ path }, 'missing_price', message);
  }
  return {
    provider,
    model: raw.model ?? '*',
    price,
    context: {
      ...(factor !== undefined && { factor }),
      ...(raw.service_tier !== undefined && { serviceTier: raw.service_tier }),
    },
  };
}

function checkProvider(
  { problems }: Reading,
  provider: string,
  path: DocumentPath,
  known: ReadonlySet<string> | null,
): void {
  if (known === null || isPattern(provider) || known.has(provider)) return;
  const names = [...known];
  const message = `found the provider ${quoteName(provider)}, expected ${listChoices(names)}${suggestion(provider, names)}`;
  problems.error({ path }, 'unknown_provider', message);
}

/** The whole price of a rule, or null where it has none. */
function readPrice(reading: Reading, raw: RawPriceRule, path: DocumentPath): Price | null {
  const rates = readRates(reading, raw, path);
  const request = amount(reading, raw.request, 'usd', parseUsd, [...path, 'request']);
  const tiers = readTiers(reading, raw.above ?? [], [...path, 'above']);
  if (Object.keys(rates).length === 0 && request === undefined && tiers.length === 0) return null;
  for (const name of ['input', 'output'] as const) {
    if (raw[name] !== undefined) continue;
    const message = `found nothing, expected ${EXPECTED.rate}: a price needs input and output`;
    reading.problems.error({ path: [...path, name] }, 'missing_key', message);
  }
  return priceOfGroups({ rates }, tiers, { regions: {}, request: request ?? 0n });
}

function readTiers(reading: Reading, raw: readonly RawContextTier[], path: DocumentPath) {
  return raw.map((tier, at) => {
    const place = [...path, at];
    if (raw.slice(0, at).some((earlier) => earlier.input_tokens >= tier.input_tokens)) {
      const message = `found ${tier.input_tokens} after a tier that is not below it, expected ascending sizes`;
      reading.problems.error({ path: [...place, 'input_tokens'] }, 'tier_order', message);
    }
    return { service: '', above: tier.input_tokens, rates: readRates(reading, tier, place) };
  });
}

function readRates(reading: Reading, raw: RawPriceRule | RawContextTier, path: DocumentPath): GivenRates {
  const given = NAMES.flatMap((name) => {
    const rate = amount(reading, raw[name], 'rate', parseRate, [...path, name]);
    return rate === undefined ? [] : [[KINDS[name], rate] as const];
  });
  return Object.fromEntries(given);
}

/** Texts were checked by the schema; of numbers it knows the bounds, but not how many digits they have. */
function amount(
  reading: Reading,
  written: string | number | undefined,
  format: Format,
  parse: (written: string | number) => bigint | null,
  path: DocumentPath,
): bigint | undefined {
  if (written === undefined) return undefined;
  const value = parse(written);
  if (value === null)
    reading.problems.error({ path }, 'wrong_value', `found ${written}, expected ${EXPECTED[format]}`);
  return value ?? undefined;
}
