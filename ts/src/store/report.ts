/**
 * The query behind a report. Sums are kept per minute and per hour; a report that need not divide hours takes whole hours
 * from the coarse table and only the ragged ends from the fine one, so that a month costs seconds, not minutes.
 */
import { type Expression, type ExpressionBuilder, type Kysely, sql, type SqlBool } from 'kysely';
import type { Dimension, Interval, RollupQuery, RollupRow } from '../usage/ports.js';
import { ROLLUP_KEYS, ROLLUP_SUMS, type RollupSum } from '../usage/rollup-table.js';
import type { Schema } from './schema.js';

/** Minutes in the interval of the coarse table. */
export const MINUTES_PER_HOUR = 60;

const INTERVAL_MINUTES: Record<Interval, number> = { minute: 1, hour: MINUTES_PER_HOUR, day: 1_440 };

type RollupTableName = 'usage_rollup' | 'usage_rollup_hour';

/** Minutes since 1970, from inclusive, to exclusive. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** A sum of costs: whole millionths of a USD, and the sum of what lies below them, in pico-USD. */
export const COST_COLUMNS = ['cost_microusd', 'cost_rest_picousd'] as const;
type CostColumn = (typeof COST_COLUMNS)[number];

const PICO_PER_MICRO = 1_000_000n;

/** The two columns of a cost in pico-USD. */
export function costColumns(cost: bigint): [microusd: number, restPicousd: number] {
  return [Number(cost / PICO_PER_MICRO), Number(cost % PICO_PER_MICRO)];
}

/** What the query answers, one row per group and interval. Costs come as text, since they may not fit a number. */
export type ReportRow = Record<Dimension | RollupSum, number> &
  Record<CostColumn, string> & { readonly bucket?: number };

/** The query of a report. */
export function reportQuery(db: Kysely<Schema>, query: RollupQuery) {
  const bucket = query.interval ? intervalStart(INTERVAL_MINUTES[query.interval]) : null;
  let select = db
    .selectFrom(rowsOf(db, query).as('rollup'))
    .select(query.groupBy)
    .select((of) => ROLLUP_SUMS.map((sum) => of.fn.coalesce(of.fn.sum<number>(sum), sql<number>`0`).as(sum)))
    .select((of) => COST_COLUMNS.map((column) => sql<string>`cast(${of.fn.sum(column)} as text)`.as(column)))
    .limit(query.limit)
    .offset(query.offset);
  if (bucket) select = select.select(bucket.as('bucket')).groupBy('bucket').orderBy('bucket');
  select = select.orderBy('requests', 'desc');
  for (const dimension of query.groupBy) select = select.groupBy(dimension).orderBy(dimension);
  return select;
}

/** The row in the ledger's terms; null for the empty sum over nothing. */
export function reportRow(row: ReportRow, groupBy: readonly Dimension[]): RollupRow | null {
  if (row.requests === 0) return null;
  const group = Object.fromEntries(groupBy.map((dimension) => [dimension, row[dimension]]));
  const sums = Object.fromEntries(ROLLUP_SUMS.map((sum) => [sum, row[sum]])) as Record<RollupSum, number>;
  const cost = BigInt(row.cost_microusd) * PICO_PER_MICRO + BigInt(row.cost_rest_picousd);
  return { minute: row.bucket ?? null, group, sums, cost };
}

/** Whole hours of a range, and what lies before and after them; empty ranges where there are none. */
export function splitByHour({ from, to }: Range): { before: Range; hours: Range; after: Range } {
  const firstHour = Math.ceil(from / MINUTES_PER_HOUR) * MINUTES_PER_HOUR;
  const lastHour = Math.floor(to / MINUTES_PER_HOUR) * MINUTES_PER_HOUR;
  if (firstHour >= lastHour)
    return { before: { from, to }, hours: { from: to, to }, after: { from: to, to } };
  return {
    before: { from, to: firstHour },
    hours: { from: firstHour, to: lastHour },
    after: { from: lastHour, to },
  };
}

function rowsOf(db: Kysely<Schema>, query: RollupQuery) {
  const range = { from: query.fromMinute, to: query.toMinute };
  if (query.interval === 'minute') return rows(db, 'usage_rollup', range, query.filter);
  const { before, hours, after } = splitByHour(range);
  return rows(db, 'usage_rollup', before, query.filter)
    .unionAll(rows(db, 'usage_rollup_hour', hours, query.filter))
    .unionAll(rows(db, 'usage_rollup', after, query.filter));
}

function rows(db: Kysely<Schema>, table: RollupTableName, range: Range, filter: RollupQuery['filter']) {
  return db
    .selectFrom(table)
    .select([...ROLLUP_KEYS, ...ROLLUP_SUMS, ...COST_COLUMNS])
    .where('minute', '>=', range.from)
    .where('minute', '<', range.to)
    .where((of) => of.and(conditions(of, filter)));
}

function conditions(
  of: ExpressionBuilder<Schema, RollupTableName>,
  filter: RollupQuery['filter'],
): Expression<SqlBool>[] {
  const wanted = Object.entries(filter) as [Dimension, readonly number[]][];
  return wanted.map(([dimension, values]) => of(dimension, 'in', values));
}

/** First minute of the interval a rollup lies in. The length is one of ours, so it may stand in the text. */
function intervalStart(minutes: number) {
  const length = sql.lit(minutes);
  return sql<number>`minute / ${length} * ${length}`;
}
