/**
 * Takes finished requests from the journal and keeps them.
 *
 * Every few hundred milliseconds the records waiting there are taken as one batch. The batch is stored as it came (a
 * *segment*, for the list of requests) and summed in memory into rollups (for reports), which are written twice a
 * minute. Rollups need not share a transaction with the segments they sum: the run's *rolled sequence* is moved in the
 * transaction that adds them, and segments beyond it are summed again when a run ends badly. Every record is so counted
 * exactly once, while rows with thousands of different keys are not rewritten five times a second. What is stored is
 * acknowledged; the rest a later run finds in the journal (`recovery.ts`).
 *
 * When the store cannot be written (a full disk, a database that is down), serving goes on: batches wait in memory up to a
 * bound, and then in the journal. Only when that has become crowded too are further records taken without their detail:
 * their sums stay in memory and are written when the store recovers, before anything that came after them is stored.
 */
import { RECORD_BYTES } from '../bridge/generated/record.js';
import type { JournalStats } from '../bridge/generated/snapshot.js';
import { CostMeter, type ModelCost } from './costs.js';
import type { Boot, NewSegment, RecordBatch } from './ports.js';
import { recordWords } from './record.js';
import {
  currentRecords,
  MAX_RECORDS_PER_SEGMENT,
  recover,
  type RecoveryOptions,
  replay,
} from './recovery.js';
import { RollupTable } from './rollup-table.js';

/** Time between two drains. */
export const DRAIN_INTERVAL_MS = 200;

/** Segments taken in one drain, so that writing keeps up with reading. */
const MAX_SEGMENTS_PER_DRAIN = 8;

/** Time between two writes of rollups: an upsert costs 4 µs, so thousands of busy keys are better written rarely. */
const ROLLUP_INTERVAL_MS = 30_000;

/** Rollups are written early beyond this many, to keep each write short. */
const MAX_PENDING_ROLLUPS = 32_768;

/** Longest segment. */
const MAX_SEGMENT_BYTES = MAX_RECORDS_PER_SEGMENT * RECORD_BYTES;

/** Bytes of segments that wait in memory for a store that cannot be written. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

/** Longest pause between two attempts to write to a failing store. */
const MAX_RETRY_MS = 5_000;

/** Time between two looks for segments past their retention, and for what could not be recovered. */
const RETENTION_INTERVAL_MS = 60_000;

/** Beyond this the oldest segments go before their time: at 30,000 requests a second a day of them is 250 GB. */
const MAX_STORE_BYTES = 20 * 1024 ** 3;

/** Old segments deleted per drain, so that a backlog never blocks the ones that arrive. */
const DELETED_PER_DRAIN = 16;

/** What happened to the records; counters since the start, gauges of this moment. */
export interface RecorderCounters {
  /** Records taken from the journal. */
  readonly records: number;
  /** Records of earlier runs that were found in the journal and stored. */
  readonly recovered: number;
  /** Records whose detail was given up because the store could not be written; they are in the reports. */
  readonly detailDropped: number;
  /** Records summed without key, model and provider because too many combinations were waiting. */
  readonly unattributed: number;
  /** Failed attempts to write. */
  readonly writeFailures: number;
  /** Bytes of records waiting to be written. */
  readonly pendingBytes: number;
  /** What was spent, and on what. */
  readonly costs: readonly ModelCost[];
  /** The journal they come from. */
  readonly journal: JournalStats;
}

/** What a recorder works with. */
export interface RecorderOptions extends RecoveryOptions {
  /** Unique per run of the gateway; that of the journal. */
  readonly bootId: string;
  /** Segments are deleted when their records finished longer ago than this. */
  readonly retentionMs: number;
  /** Bytes the store may take up before the oldest segments are deleted early; 20 GiB unless given. */
  readonly maxStoreBytes?: number;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
}

/** The recorder. */
export class UsageRecorder {
  private readonly rollups = new RollupTable();
  private readonly meter = new CostMeter();
  private pending: NewSegment[] = [];
  private pendingBytes = 0;
  private sequence: number;
  private timer: NodeJS.Timeout | null = null;
  /** Work goes through here one after the other: drains, and the flushes that reports ask for. */
  private turn: Promise<void> = Promise.resolve();
  private retryAt = 0;
  private retryMs = 0;
  private rollupsDueAt: number;
  private retentionDueAt = 0;
  private records = 0;
  private recovered = 0;
  private journalFailures = 0;
  /** Records have been taken without their detail: until their sums are stored, nothing that came later may be. */
  private isBehind = false;
  private detailDropped = 0;
  private writeFailures = 0;

  private constructor(
    private readonly options: RecorderOptions,
    private boot: Boot,
  ) {
    this.sequence = boot.storedSequence;
    this.rollupsDueAt = options.now() + ROLLUP_INTERVAL_MS;
  }

  /**
   * Stores and sums what earlier runs left behind, and opens this one. Records flow from {@link UsageRecorder.start} on.
   */
  static async open(options: RecorderOptions): Promise<UsageRecorder> {
    const recovered = await recover(options);
    for (const boot of await options.ledger.unrolledBoots())
      await replay(options.ledger, boot).catch(options.onError);
    const recorder = new UsageRecorder(options, await options.ledger.openBoot(options.bootId));
    recorder.recovered = recovered;
    return recorder;
  }

  /** Begins to drain at intervals. */
  start(): void {
    const tick = (): void => {
      void this.drain().finally(() => {
        if (this.timer) this.timer = setTimeout(tick, DRAIN_INTERVAL_MS);
      });
    };
    this.timer ??= setTimeout(tick, DRAIN_INTERVAL_MS);
  }

  /** One drain: take, store, and write rollups or clean up where due. */
  drain(): Promise<void> {
    return this.exclusive(async () => {
      this.take();
      await this.write(false);
      await this.cleanUp();
    });
  }

  /** Brings the stored rollups up to what has been drained, before a report. */
  flush(): Promise<void> {
    return this.exclusive(() => this.write(true));
  }

  /** Brings the stored rollups up to what the journal has, before a counter begins with them. */
  catchUp(): Promise<void> {
    return this.exclusive(async () => {
      this.take();
      await this.write(true);
    });
  }

  /**
   * Takes all that is left, writes it, and ends. Call it when the journal has stopped. What cannot be written stays there
   * for the next run.
   */
  async stop(): Promise<void> {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    await this.exclusive(async () => {
      let isDone = false;
      while (!isDone) {
        const before = this.sequence;
        const hadNone = this.pending.length === 0;
        this.take();
        this.retryAt = 0;
        await this.write(true);
        isDone = this.retryAt > 0 || (hadNone && this.sequence === before);
      }
      await this.options.ledger.makeDurable().catch(this.options.onError);
    });
  }

  counters(): RecorderCounters {
    const { records, recovered, detailDropped, writeFailures, pendingBytes } = this;
    const { unattributed } = this.rollups;
    const journal = this.options.journal.stats();
    const costs = this.meter.sums();
    return { records, recovered, detailDropped, writeFailures, pendingBytes, unattributed, costs, journal };
  }

  private exclusive(work: () => Promise<void>): Promise<void> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => {});
    return done;
  }

  /** A journal that fails to answer costs nothing that is here already. */
  private take(): void {
    const { journal, onError } = this.options;
    try {
      const { failures, last_failure: reason, crowded } = journal.stats();
      if (failures > this.journalFailures) onError(new Error(`the journal of usage records: ${reason}`));
      this.journalFailures = failures;
      for (let taken = 0; taken < MAX_SEGMENTS_PER_DRAIN; taken += 1) {
        const isFull = this.isBehind || this.pendingBytes > MAX_PENDING_BYTES - MAX_SEGMENT_BYTES;
        const batch = isFull && !crowded ? null : journal.next(MAX_RECORDS_PER_SEGMENT);
        if (batch === null) return;
        this.accept(batch, isFull);
      }
    } catch (error) {
      onError(error);
    }
  }

  private accept(batch: RecordBatch, withoutDetail: boolean): void {
    const { sequence, count } = batch;
    const records = currentRecords(batch);
    const words = recordWords(records);
    this.meter.add(words, count);
    const span = this.rollups.add(words, count);
    this.sequence = sequence;
    this.records += count;
    if (withoutDetail) {
      this.isBehind = true;
      this.detailDropped += count;
    } else {
      this.pending.push({ sequence, ...span, count, records });
      this.pendingBytes += records.byteLength;
    }
  }

  /** Never throws: what failed stays where it is and is tried again, ever more rarely. */
  private async write(rollupsToo: boolean): Promise<void> {
    const now = this.options.now();
    if (now < this.retryAt) return;
    try {
      await this.writeSegments();
      const isDue = rollupsToo || this.isBehind || now >= this.rollupsDueAt;
      if (isDue || this.rollups.size > MAX_PENDING_ROLLUPS) await this.writeRollups();
      this.retryMs = 0;
    } catch (error) {
      this.writeFailures += 1;
      this.retryMs = Math.min(Math.max(this.retryMs * 2, DRAIN_INTERVAL_MS), MAX_RETRY_MS);
      this.retryAt = now + this.retryMs;
      this.options.onError(error);
    }
  }

  private async writeSegments(): Promise<void> {
    if (this.pending.length === 0) return;
    await this.options.ledger.writeSegments(this.boot.id, this.pending);
    this.options.journal.acknowledge(this.pending.at(-1)!.sequence);
    this.pending = [];
    this.pendingBytes = 0;
  }

  private async writeRollups(): Promise<void> {
    this.rollupsDueAt = this.options.now() + ROLLUP_INTERVAL_MS;
    if (this.rollups.size === 0) return;
    const { id, rolledSequence } = this.boot;
    const added = await this.options.ledger.addRollups(id, rolledSequence, this.sequence, this.rollups);
    if (added) this.boot = { ...this.boot, rolledSequence: this.sequence };
    else await this.rollUpFromStore();
    this.rollups.clear();
    this.isBehind = false;
    this.options.journal.acknowledge(this.sequence);
  }

  /** Another process took this run for dead and summed it up to some segment: the stored ones after that are ours. */
  private async rollUpFromStore(): Promise<void> {
    const boot = await this.options.ledger.openBoot(this.options.bootId);
    this.boot = await replay(this.options.ledger, boot);
  }

  private async cleanUp(): Promise<void> {
    const now = this.options.now();
    if (now < this.retentionDueAt || now < this.retryAt) return;
    const { journal, ledger, retentionMs, maxStoreBytes = MAX_STORE_BYTES } = this.options;
    try {
      if (journal.leftBehind().length > 0) this.recovered += await recover(this.options);
      const isTooLarge = (await ledger.usedBytes()) > maxStoreBytes;
      const deleted = await ledger.deleteSegments(isTooLarge ? now : now - retentionMs, DELETED_PER_DRAIN);
      if (deleted < DELETED_PER_DRAIN) this.retentionDueAt = now + RETENTION_INTERVAL_MS;
    } catch (error) {
      this.retentionDueAt = now + RETENTION_INTERVAL_MS;
      this.options.onError(error);
    }
  }
}
