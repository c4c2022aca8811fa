/**
 * What the open windows of budgets and limits have used up, from the ledger: counters begin with it after a restart, and
 * those of new budgets with what was spent before there were. Rates, and what counts requests at once, begin anew.
 *
 * Usage is that of the keys, models and providers that a meter covers today.
 */
import type { Meter, MeterUse, TokenWeights } from '../bridge/generated/snapshot.js';
import type { Dimension, RollupRow, UsageLedger } from './ports.js';
import type { RollupSum } from './rollup-table.js';

/** A meter, and whose usage it counts. */
export interface MeteredUsage {
  readonly meter: Meter;
  readonly of: 'key_id' | 'model_id' | 'provider_id';
  readonly ids: ReadonlySet<number>;
}

/** Shorter windows begin anew: what they held is over before it is read. */
const RESTORED_FROM_MS = 3_600_000;

const MS_PER_MINUTE = 60_000;

/** Most combinations that are summed. */
const MAX_ROWS = 1_000_000;

/** What each meter has used by `now`; those that begin anew, and those that have used nothing, are absent. */
export async function usedBefore(
  ledger: Pick<UsageLedger, 'queryRollups'>,
  metered: readonly MeteredUsage[],
  windowStarts: (meters: readonly Meter[], atMs: number) => readonly (number | null)[],
  now: number,
): Promise<Map<number, MeterUse>> {
  const kept = metered.filter(({ meter }) => isRestored(meter));
  if (kept.length === 0) return new Map();
  const starts = windowStarts(
    kept.map(({ meter }) => meter),
    now,
  );
  const sums = new Map<string, ReadonlyMap<number, Sum>>();
  const used = new Map<number, MeterUse>();
  for (const [at, { meter, of, ids }] of kept.entries()) {
    const fromMinute = Math.floor((starts[at] ?? 0) / MS_PER_MINUTE);
    const entry = `${of} ${fromMinute}`;
    const sum = sums.get(entry) ?? (await sumsSince(ledger, of, fromMinute, now));
    sums.set(entry, sum);
    const amount = [...ids].reduce((total, id) => total + amountOf(sum.get(id), meter.measure), 0n);
    if (amount > 0n) used.set(meter.id, { at_ms: now, amount: String(amount) });
  }
  return used;
}

/** Sums of one key, model or provider. */
interface Sum {
  readonly counts: Readonly<Record<RollupSum, number>>;
  readonly cost: bigint;
}

function isRestored({ measure, window }: Meter): boolean {
  if (measure.kind === 'concurrency' || window.kind === 'rate') return false;
  return !('period_ms' in window) || measure.kind === 'cost' || window.period_ms >= RESTORED_FROM_MS;
}

async function sumsSince(
  ledger: Pick<UsageLedger, 'queryRollups'>,
  of: MeteredUsage['of'],
  fromMinute: number,
  now: number,
): Promise<Map<number, Sum>> {
  const groupBy: Dimension[] = of === 'provider_id' ? [of] : [of, 'provider_id'];
  const toMinute = Math.floor(now / MS_PER_MINUTE) + 1;
  const query = { fromMinute, toMinute, groupBy, filter: {}, limit: MAX_ROWS, offset: 0 };
  const sums = new Map<number, Sum>();
  for (const row of await ledger.queryRollups(query)) {
    if (row.group.provider_id === 0) continue; // refused here, so never counted
    const id = row.group[of] ?? 0;
    sums.set(id, added(sums.get(id), row));
  }
  return sums;
}

function added(before: Sum | undefined, { sums, cost }: RollupRow): Sum {
  if (before === undefined) return { counts: sums, cost };
  const names = Object.keys(sums) as RollupSum[];
  const counts = Object.fromEntries(names.map((name) => [name, before.counts[name] + sums[name]]));
  return { counts: counts as Record<RollupSum, number>, cost: before.cost + cost };
}

/** In the unit of the counter: requests, thousandths of weighted tokens, pico-USD. */
function amountOf(sum: Sum | undefined, measure: Meter['measure']): bigint {
  if (sum === undefined) return 0n;
  if (measure.kind === 'cost') return sum.cost;
  if (measure.kind === 'requests') return BigInt(sum.counts.requests);
  return measure.kind === 'tokens' ? weighted(sum.counts, measure.weights) : 0n;
}

/** Every token is of one kind: those with a sum of their own are taken off the sum of the prompt, or of the answer. */
function weighted(counts: Readonly<Record<RollupSum, number>>, weights: TokenWeights): bigint {
  const written = counts.cache_write_tokens - counts.cache_write_1h_tokens;
  const otherInput =
    counts.cached_input_tokens +
    counts.cache_write_tokens +
    counts.audio_input_tokens +
    counts.image_input_tokens;
  const otherOutput = counts.reasoning_tokens + counts.audio_output_tokens + counts.image_output_tokens;
  const kinds: Record<keyof TokenWeights, number> = {
    input: counts.input_tokens - otherInput,
    cached_input: counts.cached_input_tokens,
    cache_write: written,
    cache_write_1h: counts.cache_write_1h_tokens,
    audio_input: counts.audio_input_tokens,
    image_input: counts.image_input_tokens,
    output: counts.output_tokens - otherOutput,
    reasoning: counts.reasoning_tokens,
    audio_output: counts.audio_output_tokens,
    image_output: counts.image_output_tokens,
  };
  const names = Object.keys(kinds) as (keyof TokenWeights)[];
  return names.reduce((sum, kind) => sum + BigInt(Math.max(0, kinds[kind])) * BigInt(weights[kind]), 0n);
}
