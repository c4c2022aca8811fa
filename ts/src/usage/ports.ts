/** What usage needs from a journal and from a store. They implement it; recorder and reports are written against it. */
import type { JournalStats } from '../bridge/generated/snapshot.js';
import type { RollupTable, RollupSum } from './rollup-table.js';

/** Records that a journal gives out together. */
export interface RecordBatch {
  /** Place of the last of them in their run of the gateway, from 1; it rises from batch to batch. */
  readonly sequence: number;
  readonly count: number;
  /** Bytes of each: other than ours in what another version has written. */
  readonly recordBytes: number;
  readonly records: Uint8Array;
}

/** Where records wait, safe from a killed process, until they are stored. */
export interface RecordJournal {
  /** The next records in order; null where none are waiting. They are not given again. */
  next(max: number): RecordBatch | null;
  /** Says that everything up to a sequence is stored. */
  acknowledge(sequence: number): void;
  /** Runs that ended before all of their records were acknowledged, the oldest first. */
  leftBehind(): string[];
  /** Records of such a run after a sequence; null where there are no more. */
  recover(bootId: string, after: number, max: number): RecordBatch | null;
  /** Deletes what such a run left, and tells what was wrong with it. */
  forget(bootId: string): JournalDamage;
  stats(): JournalStats;
}

/** What was found wrong in the files of an earlier run. */
export interface JournalDamage {
  /** Bytes of writes that were under way when the process or the machine died. */
  readonly cutBytes: number;
  /** Bytes that could not be read, with readable ones behind them. */
  readonly damagedBytes: number;
  /** Names of the files kept aside for it. */
  readonly kept: readonly string[];
}

/** One batch, as it goes to the store. */
export interface NewSegment {
  /** The batch's sequence. With the run it is unique, so a batch is stored once. */
  readonly sequence: number;
  /** Finish time of the earliest record, milliseconds since 1970. */
  readonly firstMs: number;
  /** Finish time of the latest record, milliseconds since 1970. */
  readonly lastMs: number;
  readonly count: number;
  readonly records: Uint8Array;
}

/** A stored batch. */
export interface StoredSegment extends NewSegment {
  readonly id: number;
  /** Version of the prices of its records, in a batch from before they said it themselves. */
  readonly priceVersion: string | null;
}

/** One run of the gateway. */
export interface Boot {
  readonly id: number;
  /** Segments up to this sequence are in the rollups. */
  readonly rolledSequence: number;
  /** Everything up to this sequence has been stored, though its detail may have expired since. */
  readonly storedSequence: number;
}

/** How finely a report divides time. */
export type Interval = 'minute' | 'hour' | 'day';

/** What a report can be grouped by. */
export type Dimension = 'key_id' | 'model_id' | 'provider_id' | 'route' | 'status_class';

/** Which rollups a report sums. `from` is inclusive, `to` exclusive, both in minutes since 1970. */
export interface RollupQuery {
  readonly fromMinute: number;
  readonly toMinute: number;
  readonly groupBy: readonly Dimension[];
  /** Absent for one sum over the whole range. */
  readonly interval?: Interval;
  /** Each given dimension must have one of the values. */
  readonly filter: Partial<Record<Dimension, readonly number[]>>;
  readonly limit: number;
  readonly offset: number;
}

/** One line of a report: the group's values, when its interval began, and the sums. */
export interface RollupRow {
  /** Minutes since 1970; null without an interval. */
  readonly minute: number | null;
  readonly group: Partial<Record<Dimension, number>>;
  readonly sums: Record<RollupSum, number>;
  /** Pico-USD, without the requests that have no price. */
  readonly cost: bigint;
}

/** Where a listing of segments goes on: everything finished before this place, newest first. */
export interface SegmentPlace {
  readonly firstMs: number;
  readonly id: number;
}

/** Which segments a listing reads. */
export interface SegmentQuery {
  readonly fromMs: number;
  readonly toMs: number;
  /** Starts at this segment, inclusive; absent for the newest. */
  readonly at?: SegmentPlace;
  readonly limit: number;
}

/** The ledger: batches as they came, and their sums. */
export interface UsageLedger {
  /** Registers a run of the gateway; the same id gives the same run. */
  openBoot(bootId: string): Promise<Boot>;
  /** Every run that has segments beyond its rolled sequence. */
  unrolledBoots(): Promise<Boot[]>;
  /** Stores batches in one transaction; one that is there already is left alone. */
  writeSegments(bootId: number, segments: readonly NewSegment[]): Promise<void>;
  /** Returns when what was written outlives a machine that loses power. */
  makeDurable(): Promise<void>;
  /** Batches of a run after a sequence, ascending. */
  segmentsAfter(bootId: number, sequence: number, limit: number): Promise<StoredSegment[]>;
  /**
   * Adds sums and moves the run's rolled sequence from `from` to `to`, in one transaction. Answers false, and changes
   * nothing, when the rolled sequence is not `from`: someone else has rolled up this run.
   */
  addRollups(bootId: number, from: number, to: number, rollups: RollupTable): Promise<boolean>;
  /** Sums by group, ordered by time, then by requests descending. */
  queryRollups(query: RollupQuery): Promise<RollupRow[]>;
  /** Segments that overlap a time range, newest first. */
  querySegments(query: SegmentQuery): Promise<StoredSegment[]>;
  /** Bytes of all stored segments. */
  usedBytes(): Promise<number>;
  /** Deletes up to `limit` rolled-up segments, oldest first, whose records all finished before the time; tells how many. */
  deleteSegments(beforeMs: number, limit: number): Promise<number>;
  /** Deletes some of the oldest sums from before a full hour, in minutes since 1970; tells whether there may be more. */
  deleteRollups(beforeMinute: number): Promise<boolean>;
}
