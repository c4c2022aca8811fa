/** The built-in price book: prices by provider and model, read from the data file when they are first asked for. */

import { ownerOfModels, withoutRegion, type ModelProvider } from '../providers/models.js';
import { BOOK } from './data/book.js';
import {
  filledRates,
  SERVICE_TIERS,
  type ContextTier,
  type ContextTiers,
  type GivenRates,
  type Price,
  type Rates,
  type ServiceTier,
  type TokenKind,
} from './price.js';

/** Kinds by the letter they are written with. */
const LETTERS: Readonly<Record<string, TokenKind>> = {
  i: 'input',
  r: 'cachedInput',
  w: 'cacheWrite',
  h: 'cacheWrite1h',
  a: 'audioInput',
  m: 'imageInput',
  o: 'output',
  t: 'reasoning',
  b: 'audioOutput',
  n: 'imageOutput',
};

const lines = new Map<string, ReadonlyMap<string, string>>();
const prices = new Map<string, Price>();

/** What a model costs at a provider by the built-in book; null where it does not say. */
export function builtInPrice(provider: ModelProvider, model: string): Price | null {
  const owner = ownerOfModels(provider, BOOK);
  if (owner === undefined) return null;
  const known = linesOf(owner);
  const line = known.get(model) ?? known.get(withoutRegion(model));
  if (line === undefined) return null;
  const place = `${owner}|${line}`;
  const price = prices.get(place) ?? readPrice(line);
  prices.set(place, price);
  return price;
}

/** Names of the models that the book has of a provider. */
export function pricedModels(provider: ModelProvider): string[] {
  const owner = ownerOfModels(provider, BOOK);
  return owner === undefined ? [] : [...linesOf(owner).keys()];
}

function linesOf(owner: string): ReadonlyMap<string, string> {
  const known =
    lines.get(owner) ??
    new Map(
      (BOOK[owner] ?? '')
        .trim()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('|')), line]),
    );
  lines.set(owner, known);
  return known;
}

/** One group of a line: rates of a service tier (the standard one without a name) beyond a size of prompt. */
interface Group {
  readonly service: string;
  readonly above: number;
  readonly rates: GivenRates;
}

/** Reads a line of the book: `NAME|i1250000 o10000000|>200000:i2500000|flex:i625000 o5000000|@eu:11000`. */
export function readPrice(line: string): Price {
  const [, standard = '', ...others] = line.split('|');
  const regions = others.filter((part) => part.startsWith('@')).map((part) => part.slice(1).split(':'));
  const groups = others.filter((part) => !part.startsWith('@')).map(readGroup);
  const base: Group = { service: '', above: 0, rates: readRates(standard) };
  return priceOfGroups(base, groups, {
    regions: Object.fromEntries(regions.map(([name = '', points = '']) => [name, BigInt(points)])),
    request: BigInt(/\bq(\d+)/.exec(standard)?.[1] ?? '0'),
  });
}

function readGroup(part: string): Group {
  const [tier = '', rates = ''] = part.split(':');
  const [service = '', above = '0'] = tier.split('>');
  return { service, above: Number(above), rates: readRates(rates) };
}

function readRates(text: string): GivenRates {
  const given = text.split(' ').flatMap((part) => {
    const kind = LETTERS[part.charAt(0)];
    return kind === undefined ? [] : [[kind, BigInt(part.slice(1))] as const];
  });
  return Object.fromEntries(given);
}

/** A price from what is given of it: the standard group whole, the others as far as they differ. */
export function priceOfGroups(
  base: Pick<Group, 'rates'>,
  groups: readonly Group[],
  rest: Pick<Price, 'regions' | 'request'>,
): Price {
  const first = { input: 0n, output: 0n, ...base.rates };
  const standard = tiersOf(
    { aboveInputTokens: 0, rates: filledRates(first) },
    groups.filter(({ service }) => service === ''),
    base.rates,
  );
  const services: Partial<Record<ServiceTier, ContextTiers>> = {};
  for (const service of SERVICE_TIERS) {
    const own = groups.filter((group) => group.service === service);
    if (own.length > 0) services[service] = serviceTiers(own, standard, base.rates);
  }
  return { standard, services, ...rest };
}

function tiersOf(first: ContextTier, groups: readonly Group[], base: GivenRates): ContextTiers {
  const above = groups.filter((group) => group.above > 0).toSorted((a, b) => a.above - b.above);
  return [
    first,
    ...above.map((group) => ({ aboveInputTokens: group.above, rates: derived(group.rates, base) })),
  ];
}

/** Where a service tier has no rates of its own beyond a size, the dearer of its rates and the standard ones hold. */
function serviceTiers(
  own: readonly Group[],
  standard: readonly ContextTier[],
  base: GivenRates,
): ContextTiers {
  const given = own.find(({ above }) => above === 0)?.rates ?? {};
  const first = { aboveInputTokens: 0, rates: derived(given, base) };
  const [, ...above] = tiersOf(first, own, { ...base, ...given });
  const missing = standard.filter(({ aboveInputTokens: bound }) =>
    [first, ...above].every((tier) => tier.aboveInputTokens !== bound),
  );
  const added = missing.map((tier) => ({ ...tier, rates: dearer(tier.rates, first.rates) }));
  return [first, ...[...above, ...added].toSorted((a, b) => a.aboveInputTokens - b.aboveInputTokens)];
}

/**
 * Rates of a tier, from what differs from the standard ones. What is not given stays as it is, but reading from a cache
 * never costs more than input does, and writing never less.
 */
function derived(given: GivenRates, base: GivenRates): Rates {
  const input = given.input ?? base.input ?? 0n;
  const output = given.output ?? base.output ?? 0n;
  const cached =
    given.cachedInput ?? (base.cachedInput === undefined ? input : least(base.cachedInput, input));
  const write = given.cacheWrite ?? most(base.cacheWrite ?? input, input);
  const hourly = given.cacheWrite1h ?? most(base.cacheWrite1h ?? write, write);
  const written = { ...base, ...given, input, output, cachedInput: cached, cacheWrite: write };
  return filledRates({ ...written, cacheWrite1h: hourly });
}

function dearer(a: Rates, b: Rates): Rates {
  const kinds = Object.keys(a) as TokenKind[];
  return Object.fromEntries(kinds.map((kind) => [kind, most(a[kind], b[kind])])) as Rates;
}

function most(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
