/**
 * The seam between the store and the database under it. Everything that is the same in SQLite and PostgreSQL is written
 * once, in Kysely; what is left to each is here.
 */
import type { Compilable, Kysely } from 'kysely';
import type { NewSegment } from '../usage/ports.js';
import type { RollupTable } from '../usage/rollup-table.js';
import type { Schema } from './schema.js';

/**
 * One open database. Transactions begun through `db` or `quiet` run one after the other, over all processes: what a
 * transaction has read stays true until it ends.
 */
export interface Database {
  /** Reads and writes. Other gateways on the same database notice what is written here: see `changeCounter`. */
  readonly db: Kysely<Schema>;
  /** The same, for writes that no other gateway need act upon: labels, what a file declares, usage. */
  readonly quiet: Kysely<Schema>;
  /** The writes of usage, many times a second. */
  readonly usage: UsageWriter;
  /** Runs a query that may take long, where it holds up nothing else; refused when it takes too long. */
  read<T>(query: Compilable<T>): Promise<T[]>;
  /** Returns when what was written outlives a machine that loses power. */
  makeDurable(): Promise<void>;
  /** Changes when another process has written; writes of this one leave it as it is. */
  changeCounter(): Promise<number>;
  close(): Promise<void>;
}

/** Usage is written past the query builder, in each database's fastest way. */
export interface UsageWriter {
  /** See `UsageLedger.writeSegments`; keeps the size of the run's segments in step. */
  writeSegments(bootId: number, segments: readonly NewSegment[]): Promise<void>;
  /** See `UsageLedger.addRollups`. */
  addRollups(bootId: number, from: number, to: number, rollups: RollupTable): Promise<boolean>;
}

/**
 * No segment is stored with a longer span of finish times than this (a stepped clock could make one), which lets a
 * listing bound its index scan from below.
 */
export const MAX_SEGMENT_SPAN_MS = 3_600_000;

/** When the earliest record of a segment finished, within {@link MAX_SEGMENT_SPAN_MS} of the latest. */
export function segmentStart({ firstMs, lastMs }: NewSegment): number {
  return Math.max(firstMs, lastMs - MAX_SEGMENT_SPAN_MS);
}
