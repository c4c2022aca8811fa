/**
 * Budgets and rate limits: one kind of rule, whoever has it. This file is what they mean; how they are written, in the
 * configuration, the admin API and the store alike, is in `meter-text.ts`.
 */

import type { MeterWindow } from './meter-window.js';

/** How hard a limit is. */
export const METER_MODES = ['strict', 'normal', 'soft'] as const;
export type MeterMode = (typeof METER_MODES)[number];

/** Status of a refusal: too many requests, payment required, or the `budget_exceeded` of LiteLLM. */
export const REFUSAL_STATUSES = [429, 402, 400] as const;
export type RefusalStatus = (typeof REFUSAL_STATUSES)[number];

/** Kinds of tokens; every token of a request is of exactly one. */
export const TOKEN_KINDS = [
  'input',
  'cached_input',
  'cache_write',
  'cache_write_1h',
  'audio_input',
  'image_input',
  'output',
  'reasoning',
  'audio_output',
  'image_output',
] as const;
export type TokenKind = (typeof TOKEN_KINDS)[number];

/** Kinds of the prompt; the others are of the answer. */
export const INPUT_KINDS: ReadonlySet<TokenKind> = new Set(TOKEN_KINDS.slice(0, 6));

/** Thousandths that a token counts, by its kind. */
export type TokenWeights = Readonly<Record<TokenKind, number>>;

/** Thousandths in a whole. */
export const WEIGHT_UNIT = 1_000;

/** What a rule counts. */
export type Measure =
  | { readonly kind: 'cost' }
  | { readonly kind: 'requests' }
  | { readonly kind: 'concurrency' }
  | {
      readonly kind: 'tokens' | 'input_tokens' | 'output_tokens' | 'weighted_tokens';
      readonly weights: TokenWeights;
    };

/** What a rule can be: `budget` counts money, the others everything else. */
export type MeterKind = 'budget' | 'rate_limit';

/** One budget or rate limit. */
export interface MeterRule {
  /** Unique among the budgets, or among the rate limits, of its owner. */
  readonly name: string;
  readonly measure: Measure;
  /** Micro-USD, requests, tokens (weighted ones), or requests at once. */
  readonly limit: number;
  /** Not looked at where requests at once are counted. */
  readonly window: MeterWindow;
  readonly mode: MeterMode;
  readonly status: RefusalStatus;
}

/** Most budgets, and most rate limits, of one owner. */
export const MAX_RULES = 32;

/** Micro-USD in one USD. */
export const MICRO_USD_PER_USD = 1_000_000;

/** Largest budget, in USD: the data plane counts pico-USD in 63 bits. */
export const MAX_BUDGET_USD = 9_000_000;

/** What kind of rule this is. */
export function meterKind({ measure }: Pick<MeterRule, 'measure'>): MeterKind {
  return measure.kind === 'cost' ? 'budget' : 'rate_limit';
}

/** Weights that count the tokens of a prompt, of an answer, or of both. */
export function plainWeights(input: boolean, output: boolean): TokenWeights {
  const weight = (kind: TokenKind): number => ((INPUT_KINDS.has(kind) ? input : output) ? WEIGHT_UNIT : 0);
  return Object.fromEntries(TOKEN_KINDS.map((kind) => [kind, weight(kind)])) as Record<TokenKind, number>;
}
