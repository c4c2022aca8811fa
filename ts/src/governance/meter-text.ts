/**
 * Budgets and rate limits as they are written, in the configuration, the admin API and the store: one form, read and
 * written here. What is wrong is told as a place, what was found and what was expected, and each front words it its way.
 */

import {
  INPUT_KINDS,
  MAX_BUDGET_USD,
  type Measure,
  type MeterMode,
  type MeterRule,
  MICRO_USD_PER_USD,
  plainWeights,
  type RefusalStatus,
  TOKEN_KINDS,
  type TokenKind,
  type TokenWeights,
  WEIGHT_UNIT,
} from './meter-rule.js';
import {
  type MeterWindow,
  readWindow,
  windowName,
  writeWindow,
  type WindowKind,
  type WindowProblem,
} from './meter-window.js';
import { MAX_CONCURRENCY, MAX_RATE } from './virtual-key.js';

/** What both are written with. */
interface WrittenRule {
  readonly name?: string;
  readonly window?: string;
  readonly kind?: WindowKind;
  readonly time_zone?: string;
  readonly mode?: MeterMode;
  readonly status?: RefusalStatus;
}

/** A budget as written. */
export interface WrittenBudget extends WrittenRule {
  /** A decimal number of USD with at most six digits after the point, as text or as a number. */
  readonly usd: string | number;
  readonly window: string;
}

/** Tokens by kind, each with a weight, as written. */
export type WrittenWeights = { readonly [kind in TokenKind]?: number } & { readonly limit: number };

/** A rate limit as written: one of the measures. */
export interface WrittenRateLimit extends WrittenRule {
  readonly requests?: number;
  readonly tokens?: number;
  readonly input_tokens?: number;
  readonly output_tokens?: number;
  readonly weighted_tokens?: WrittenWeights;
  readonly concurrency?: number;
}

/** One thing that is wrong with a rule. */
export interface RuleProblem {
  /** Where in the rule; empty for the rule itself. */
  readonly path: readonly string[];
  readonly found: string;
  readonly expected: string;
  /** Words one of which was perhaps meant. */
  readonly choices?: readonly string[];
}

/** The rule, or everything that is wrong with what is written. */
export type RuleReading =
  | { readonly rule: MeterRule; readonly problems: readonly [] }
  | { readonly rule: null; readonly problems: readonly RuleProblem[] };

/** What a rate limit can be of. */
export const RATE_MEASURES = [
  'requests',
  'tokens',
  'input_tokens',
  'output_tokens',
  'weighted_tokens',
  'concurrency',
] as const;
type RateMeasure = (typeof RATE_MEASURES)[number];

/** Words for an amount of a budget. */
export const USD_EXPECTED = `USD, over 0 and up to ${MAX_BUDGET_USD} with at most 6 digits after the point, such as 49.90`;

/** Words for the name of a rule. */
export const RULE_NAME_EXPECTED = 'a name of letters, digits, ., _, / and -, such as monthly';

/** Heaviest a token can count. */
export const MAX_WEIGHT = 1_000;

/** Whether this may be the name of a rule: no spaces, so that labels made of it are unmistakable. */
export function isRuleName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$/.test(text);
}

/** USD as micro-USD, exactly; null where it is no amount a budget can have. */
export function parseBudgetUsd(usd: string | number): number | null {
  const match = /^(\d{1,7})(?:\.(\d{1,6}))?$/.exec(String(usd));
  const [, whole = '', fraction = ''] = match ?? [];
  if (match === null) return null;
  const micro = Number(whole) * MICRO_USD_PER_USD + Number(fraction.padEnd(6, '0'));
  return micro > 0 && micro <= MAX_BUDGET_USD * MICRO_USD_PER_USD ? micro : null;
}

/** A budget in USD as it is shown: `49.9`. */
export function formatBudgetUsd(micro: number): string {
  const whole = Math.floor(micro / MICRO_USD_PER_USD);
  const fraction = String(micro % MICRO_USD_PER_USD)
    .padStart(6, '0')
    .replace(/0+$/, '');
  return fraction === '' ? String(whole) : `${whole}.${fraction}`;
}

/** Reads a budget. */
export function readBudget(written: WrittenBudget): RuleReading {
  const problems: RuleProblem[] = nameProblems(written);
  const limit = parseBudgetUsd(written.usd);
  if (limit === null) problems.push({ path: ['usd'], found: describe(written.usd), expected: USD_EXPECTED });
  const window = windowOf(written, written.window, true, problems);
  if (problems.length > 0 || window === null || limit === null) return { rule: null, problems };
  return { rule: ruleOf(written, { kind: 'cost' }, limit, window), problems: [] };
}

/** Reads a rate limit. */
export function readRateLimit(written: WrittenRateLimit): RuleReading {
  const problems: RuleProblem[] = nameProblems(written);
  const given = RATE_MEASURES.filter((measure) => written[measure] !== undefined);
  const [measure] = given;
  if (measure === undefined || given.length > 1) {
    const found = given.length === 0 ? 'no limit' : given.join(' and ');
    problems.push({ path: [], found, expected: `one of ${RATE_MEASURES.join(', ')}` });
    return { rule: null, problems };
  }
  const weights = weightsOf(written, measure, problems);
  const limit = measure === 'weighted_tokens' ? written.weighted_tokens?.limit : written[measure];
  const window =
    measure === 'concurrency'
      ? noWindow(written, problems)
      : windowOf(written, written.window, false, problems);
  checkLimit(limit, measure, problems);
  if (problems.length > 0 || window === null || limit === undefined) return { rule: null, problems };
  return { rule: ruleOf(written, measureOf(measure, weights), limit, window), problems: [] };
}

/** A rule as it is written, every part spelt out. */
export function writeRule(rule: MeterRule): WrittenBudget | WrittenRateLimit {
  const { window, kind, timeZone } = writeWindow(rule.window);
  const rest = { mode: rule.mode, status: rule.status };
  const amount = writtenAmount(rule);
  if (rule.measure.kind === 'concurrency') return { name: rule.name, ...amount, ...rest };
  return {
    name: rule.name,
    ...amount,
    window,
    ...(kind !== undefined && { kind }),
    ...(timeZone !== undefined && { time_zone: timeZone }),
    ...rest,
  };
}

/** Names given twice among rules of one kind, with the places of the later ones. */
export function repeatedNames(rules: readonly Pick<MeterRule, 'name'>[]): { at: number; name: string }[] {
  const seen = new Set<string>();
  return rules.flatMap(({ name }, at) => {
    if (seen.has(name)) return [{ at, name }];
    seen.add(name);
    return [];
  });
}

function describe(value: unknown): string {
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

function nameProblems({ name }: WrittenRule): RuleProblem[] {
  if (name === undefined || isRuleName(name)) return [];
  return [{ path: ['name'], found: 'another name', expected: RULE_NAME_EXPECTED }];
}

function windowOf(
  written: WrittenRule,
  text: string | undefined,
  money: boolean,
  problems: RuleProblem[],
): MeterWindow | null {
  if (text === undefined) {
    problems.push({ path: ['window'], found: 'nothing', expected: 'the time the limit is over, such as 1m' });
    return null;
  }
  const { kind, time_zone: timeZone } = written;
  const read = readWindow({ window: text, kind, timeZone }, money);
  if (!isProblem(read)) return read;
  const { field, found, expected, choices } = read;
  problems.push({ path: [field], found, expected, ...(choices && { choices }) });
  return null;
}

function isProblem(read: MeterWindow | WindowProblem): read is WindowProblem {
  return 'field' in read;
}

function noWindow(written: WrittenRule, problems: RuleProblem[]): MeterWindow {
  for (const field of ['window', 'kind', 'time_zone'] as const) {
    if (written[field] === undefined) continue;
    problems.push({ path: [field], found: `${field} beside concurrency`, expected: 'none' });
  }
  return { kind: 'ever' };
}

function checkLimit(limit: number | undefined, measure: RateMeasure, problems: RuleProblem[]): void {
  const most = measure === 'concurrency' ? MAX_CONCURRENCY : MAX_RATE;
  if (limit !== undefined && Number.isInteger(limit) && limit >= 1 && limit <= most) return;
  const path = measure === 'weighted_tokens' ? [measure, 'limit'] : [measure];
  problems.push({ path, found: describe(limit), expected: `a whole number from 1 to ${most}` });
}

function weightsOf(
  { weighted_tokens: written }: WrittenRateLimit,
  measure: RateMeasure,
  problems: RuleProblem[],
): TokenWeights {
  if (measure !== 'weighted_tokens' || written === undefined)
    return plainWeights(measure !== 'output_tokens', measure !== 'input_tokens');
  for (const kind of TOKEN_KINDS) {
    if (written[kind] === undefined || thousandths(written[kind]) !== null) continue;
    const expected = `a weight from 0 to ${MAX_WEIGHT} with at most 3 digits after the point, such as 0.1`;
    problems.push({ path: ['weighted_tokens', kind], found: describe(written[kind]), expected });
  }
  const weights = Object.fromEntries(
    TOKEN_KINDS.map((kind) => [kind, thousandths(weightOf(written, kind)) ?? 0]),
  ) as Record<TokenKind, number>;
  if (Object.values(weights).every((weight) => weight === 0) && problems.length === 0)
    problems.push({ path: ['weighted_tokens'], found: 'no weight over 0', expected: 'at least one' });
  return weights;
}

/** What is not given counts as the prompt, or as the answer; of tokens written for an hour, as those written. */
function weightOf(written: WrittenWeights, kind: TokenKind): number {
  const whole = INPUT_KINDS.has(kind) ? written.input : written.output;
  const nearer = kind === 'cache_write_1h' ? written.cache_write : undefined;
  return written[kind] ?? nearer ?? whole ?? 0;
}

function thousandths(weight: number): number | null {
  const match = /^(\d{1,4})(?:\.(\d{1,3}))?$/.exec(String(weight));
  if (match === null) return null;
  const total = Number(match[1]) * WEIGHT_UNIT + Number((match[2] ?? '').padEnd(3, '0'));
  return total <= MAX_WEIGHT * WEIGHT_UNIT ? total : null;
}

function measureOf(measure: RateMeasure, weights: TokenWeights): Measure {
  return measure === 'requests' || measure === 'concurrency' ? { kind: measure } : { kind: measure, weights };
}

function ruleOf(written: WrittenRule, measure: Measure, limit: number, window: MeterWindow): MeterRule {
  const rule = { measure, limit, window, mode: written.mode ?? 'normal', status: written.status ?? 429 };
  return { name: written.name ?? nameFor(rule), ...rule } as const;
}

/** Rules without a name are called after what they are: `usd/month`, `requests/1m`, `concurrency`. */
function nameFor({ measure, window }: Pick<MeterRule, 'measure' | 'window'>): string {
  if (measure.kind === 'concurrency') return measure.kind;
  return `${measure.kind === 'cost' ? 'usd' : measure.kind}/${windowName(window)}`;
}

function writtenAmount({ measure, limit }: MeterRule): object {
  if (measure.kind === 'cost') return { usd: formatBudgetUsd(limit) };
  if (measure.kind !== 'weighted_tokens') return { [measure.kind]: limit };
  const weights = TOKEN_KINDS.map((kind) => [kind, measure.weights[kind] / WEIGHT_UNIT] as const);
  return { weighted_tokens: { ...Object.fromEntries<number>(weights), limit } };
}
