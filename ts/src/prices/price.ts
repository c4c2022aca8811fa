/** What a model costs, and what a request costs by it: each token counted once, at the price of what it is. */

import { BASIS_POINTS } from './money.js';

/** Kinds of tokens that have prices. Every token of a request is of exactly one. */
export const TOKEN_KINDS = [
  'input',
  'cachedInput',
  'cacheWrite',
  'cacheWrite1h',
  'audioInput',
  'imageInput',
  'output',
  'reasoning',
  'audioOutput',
  'imageOutput',
] as const;

/** One of the kinds. */
export type TokenKind = (typeof TOKEN_KINDS)[number];

/** Pico-USD per token of every kind. */
export type Rates = Readonly<Record<TokenKind, bigint>>;

/** Rates as they are given; a kind that is missing costs what {@link filledRates} says. */
export type GivenRates = Readonly<Partial<Record<TokenKind, bigint>>>;

/** Rates that hold for a whole request whose prompt is larger than a bound. */
export interface ContextTier {
  /** The tier holds where the prompt has more tokens than this, cached ones included; 0 for the first tier. */
  readonly aboveInputTokens: number;
  readonly rates: Rates;
}

/** Tiers ascending by bound; the first one holds from 0. */
export type ContextTiers = readonly [ContextTier, ...ContextTier[]];

/** How urgently a provider is asked to serve; each has its own prices. */
export const SERVICE_TIERS = ['flex', 'priority', 'batch'] as const;

/** One of these. */
export type ServiceTier = (typeof SERVICE_TIERS)[number];

/** What a model costs at a provider. */
export interface Price {
  readonly standard: ContextTiers;
  /** The same where the service tier has prices of its own; elsewhere the standard ones hold. */
  readonly services: Readonly<Partial<Record<ServiceTier, ContextTiers>>>;
  /** Basis points of the price by region; 10,000 elsewhere. */
  readonly regions: Readonly<Record<string, bigint>>;
  /** Pico-USD per request, besides its tokens. */
  readonly request: bigint;
}

/** Tokens of a request, as a usage record has them: what is a part of something else is counted in it too. */
export interface TokenUsage {
  /** The whole prompt. */
  readonly inputTokens: number;
  /** Of the prompt, read from the provider's cache. */
  readonly cachedInputTokens: number;
  /** Of the prompt, written to the provider's cache. */
  readonly cacheWriteTokens: number;
  /** Of these, written for an hour. */
  readonly cacheWrite1hTokens: number;
  /** Of the prompt, sound. */
  readonly audioInputTokens: number;
  /** Of the prompt, images. */
  readonly imageInputTokens: number;
  /** The whole answer. */
  readonly outputTokens: number;
  /** Of the answer, reasoning. */
  readonly reasoningTokens: number;
  /** Of the answer, sound. */
  readonly audioOutputTokens: number;
  /** Of the answer, images. */
  readonly imageOutputTokens: number;
}

/** What changes a price besides the usage. */
export interface PriceContext {
  readonly serviceTier?: ServiceTier;
  /** Region that the request was served in, in the provider's words. */
  readonly region?: string;
  /** Basis points of the price: a discount or surcharge that was agreed. */
  readonly factor?: bigint;
}

/**
 * What a request costs, in pico-USD. Factors apply to the sum, which is then rounded half up to a whole pico-USD; without
 * factors nothing is ever rounded.
 */
export function costOf(usage: TokenUsage, price: Price, context: PriceContext = {}): bigint {
  const rates = ratesFor(usage.inputTokens, price, context.serviceTier);
  const cost = price.request + inputCost(usage, rates) + outputCost(usage, rates);
  const factor = factorOf(price, context);
  const one = BASIS_POINTS * BASIS_POINTS;
  return factor === one ? cost : (cost * factor + one / 2n) / one;
}

/** What a cost is multiplied by, for its region and by agreement, in hundred-millionths. */
export function factorOf({ regions }: Price, { region, factor }: PriceContext): bigint {
  const byRegion = region === undefined ? undefined : regions[region];
  return (byRegion ?? BASIS_POINTS) * (factor ?? BASIS_POINTS);
}

/** The kinds a request's tokens are of. Their sum is `inputTokens + outputTokens`, whatever the parts claim. */
export function countedTokens(usage: TokenUsage): Record<TokenKind, number> {
  const counted = Object.fromEntries(TOKEN_KINDS.map((kind) => [kind, 0])) as Record<TokenKind, number>;
  eachInput(usage, (kind, tokens) => (counted[kind] = tokens));
  eachOutput(usage, (kind, tokens) => (counted[kind] = tokens));
  return counted;
}

/**
 * Rates with every kind filled in. What is read from or written to a cache costs what input does, an hourly write what a
 * short one does, reasoning what output does, sound and images what text does.
 */
export function filledRates(given: GivenRates & { readonly input: bigint; readonly output: bigint }): Rates {
  const { input, output } = given;
  const cacheWrite = given.cacheWrite ?? input;
  return {
    input,
    cachedInput: given.cachedInput ?? input,
    cacheWrite,
    cacheWrite1h: given.cacheWrite1h ?? cacheWrite,
    audioInput: given.audioInput ?? input,
    imageInput: given.imageInput ?? input,
    output,
    reasoning: given.reasoning ?? output,
    audioOutput: given.audioOutput ?? output,
    imageOutput: given.imageOutput ?? output,
  };
}

function ratesFor(inputTokens: number, price: Price, service: ServiceTier | undefined): Rates {
  const tiers = (service === undefined ? undefined : price.services[service]) ?? price.standard;
  let [{ rates }] = tiers;
  for (const tier of tiers) if (inputTokens > tier.aboveInputTokens) ({ rates } = tier);
  return rates;
}

function inputCost(usage: TokenUsage, rates: Rates): bigint {
  let cost = 0n;
  eachInput(usage, (kind, tokens) => {
    if (tokens > 0) cost += BigInt(tokens) * rates[kind];
  });
  return cost;
}

function outputCost(usage: TokenUsage, rates: Rates): bigint {
  let cost = 0n;
  eachOutput(usage, (kind, tokens) => {
    if (tokens > 0) cost += BigInt(tokens) * rates[kind];
  });
  return cost;
}

type Visit = (kind: TokenKind, tokens: number) => void;

/**
 * Divides the prompt. What a provider claims beyond the whole is cut off, so that no token is counted twice: the cache
 * comes first, since it decides more, then sound and images. Cached sound counts as cached; records do not tell more.
 */
function eachInput(usage: TokenUsage, visit: Visit): void {
  let left = usage.inputTokens;
  const take = (tokens: number): number => {
    const taken = Math.min(tokens, left);
    left -= taken;
    return taken;
  };
  visit('cachedInput', take(usage.cachedInputTokens));
  const written = take(usage.cacheWriteTokens);
  const hourly = Math.min(usage.cacheWrite1hTokens, written);
  visit('cacheWrite1h', hourly);
  visit('cacheWrite', written - hourly);
  visit('audioInput', take(usage.audioInputTokens));
  visit('imageInput', take(usage.imageInputTokens));
  visit('input', left);
}

/** Divides the answer likewise: reasoning, sound, images, and what is left. */
function eachOutput(usage: TokenUsage, visit: Visit): void {
  let left = usage.outputTokens;
  const take = (tokens: number): number => {
    const taken = Math.min(tokens, left);
    left -= taken;
    return taken;
  };
  visit('reasoning', take(usage.reasoningTokens));
  visit('audioOutput', take(usage.audioOutputTokens));
  visit('imageOutput', take(usage.imageOutputTokens));
  visit('output', left);
}
