/**
 * Takes finished requests from the data plane and keeps them.
 *
 * Every few hundred milliseconds the records waiting there are drained as one buffer. The buffer is stored as it came (a
 * *segment*, for the list of requests) and summed in memory into rollups (for reports), which are written twice a
 * minute. Rollups need not share a transaction with the segments they sum: the run's *rolled sequence* is moved in the
 * transaction that adds them, and segments beyond it are summed again when a run ends badly. Every record is so counted
 * exactly once, while rows with thousands of different keys are not rewritten five times a second.
 *
 * When the store cannot be written (a full disk), serving goes on: segments wait up to a bound, then the oldest lose
 * their detail and are counted; their sums stay in memory and are written when it recovers. What was drained and not
 * yet written is lost if the process is killed: at most one interval in good health.
 */
import { CostMeter, type ModelCost } from './costs.js';
import type { Boot, NewSegment, UsageLedger } from './ports.js';
import { recordCount, recordWords } from './record.js';
import { RollupTable } from './rollup-table.js';

/** Time between two drains. */
export const DRAIN_INTERVAL_MS = 200;

/** Records taken by one call of the data plane, and so stored in one segment (1.8 MB). */
const MAX_RECORDS_PER_SEGMENT = 16_384;

/** Segments taken in one drain, so that writing keeps up with reading. */
const MAX_SEGMENTS_PER_DRAIN = 8;

/** Time between two writes of rollups: an upsert costs 4 µs, so thousands of busy keys are better written rarely. */
const ROLLUP_INTERVAL_MS = 30_000;

/** Rollups are written early beyond this many, to keep each write short. */
const MAX_PENDING_ROLLUPS = 32_768;

/** Bytes of segments that wait for a store that cannot be written. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

/** Longest pause between two attempts to write to a failing store. */
const MAX_RETRY_MS = 5_000;

/** Segments summed again per transaction after a run ended badly. */
const REPLAY_SEGMENTS = 32;

/** Time between two looks for segments past their retention. */
const RETENTION_INTERVAL_MS = 60_000;

/** Beyond this the oldest segments go before their time: at 30,000 requests a second a day of them is 250 GB. */
const MAX_STORE_BYTES = 20 * 1024 ** 3;

/** Old segments deleted per drain, so that a backlog never blocks the ones that arrive. */
const DELETED_PER_DRAIN = 16;

/** Where records come from. An empty buffer means that none are waiting. */
export interface RecordSource {
  drainRecords(max: number): Uint8Array;
}

/** What happened to the records; counters since the start, gauges of this moment. */
export interface RecorderCounters {
  /** Records taken from the data plane. */
  readonly records: number;
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
}

/** What a recorder works with. */
export interface RecorderOptions {
  readonly source: RecordSource;
  readonly ledger: UsageLedger;
  /** Unique per run of the gateway. */
  readonly bootId: string;
  /** Segments are deleted when their records finished longer ago than this. */
  readonly retentionMs: number;
  /** Bytes of segments the store may hold before the oldest are deleted early; 20 GiB unless given. */
  readonly maxStoreBytes?: number;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  /** Told of a failed write, once per attempt. */
  readonly onError: (error: unknown) => void;
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
  private detailDropped = 0;
  private writeFailures = 0;

  private constructor(
    private readonly options: RecorderOptions,
    private boot: Boot,
  ) {
    this.sequence = boot.rolledSequence;
    this.rollupsDueAt = options.now() + ROLLUP_INTERVAL_MS;
  }

  /** Sums what earlier runs left behind, and opens this one. Records flow from {@link UsageRecorder.start} on. */
  static async open(options: RecorderOptions): Promise<UsageRecorder> {
    for (const boot of await options.ledger.unrolledBoots())
      await replay(options.ledger, boot).catch(options.onError);
    return new UsageRecorder(options, await options.ledger.openBoot(options.bootId));
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
      this.take(MAX_SEGMENTS_PER_DRAIN);
      await this.write(false);
      await this.deleteOld();
    });
  }

  /** Brings the stored rollups up to what has been drained, before a report. */
  flush(): Promise<void> {
    return this.exclusive(() => this.write(true));
  }

  /** Takes all that is left, writes it, and ends. Call it when the data plane has drained. */
  async stop(): Promise<void> {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    await this.exclusive(async () => {
      this.take(Number.POSITIVE_INFINITY);
      this.retryAt = 0;
      await this.write(true);
    });
  }

  counters(): RecorderCounters {
    const { records, detailDropped, writeFailures, pendingBytes } = this;
    const { unattributed } = this.rollups;
    return { records, detailDropped, writeFailures, pendingBytes, unattributed, costs: this.meter.sums() };
  }

  private exclusive(work: () => Promise<void>): Promise<void> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => {});
    return done;
  }

  /** A data plane that fails to answer costs its records, never those that are here already. */
  private take(maxSegments: number): void {
    try {
      this.takeSegments(maxSegments);
    } catch (error) {
      this.options.onError(error);
    }
  }

  private takeSegments(maxSegments: number): void {
    for (let taken = 0; taken < maxSegments; taken += 1) {
      const bytes = this.options.source.drainRecords(MAX_RECORDS_PER_SEGMENT);
      const count = recordCount(bytes);
      if (count > 0) this.accept(bytes, count);
      if (count < MAX_RECORDS_PER_SEGMENT) return;
    }
  }

  private accept(records: Uint8Array, count: number): void {
    const words = recordWords(records);
    this.meter.add(words, count);
    const span = this.rollups.add(words, count);
    this.sequence += 1;
    this.pending.push({ sequence: this.sequence, ...span, count, records });
    this.pendingBytes += records.byteLength;
    this.records += count;
    while (this.pendingBytes > MAX_PENDING_BYTES) this.dropOldestDetail();
  }

  private dropOldestDetail(): void {
    const oldest = this.pending.shift();
    if (!oldest) return;
    this.pendingBytes -= oldest.records.byteLength;
    this.detailDropped += oldest.count;
  }

  /** Never throws: what failed stays where it is and is tried again, ever more rarely. */
  private async write(rollupsToo: boolean): Promise<void> {
    const now = this.options.now();
    if (now < this.retryAt) return;
    try {
      await this.writeSegments();
      if (rollupsToo || now >= this.rollupsDueAt || this.rollups.size > MAX_PENDING_ROLLUPS)
        await this.writeRollups();
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
    this.pending = [];
    this.pendingBytes = 0;
  }

  private async writeRollups(): Promise<void> {
    this.rollupsDueAt = this.options.now() + ROLLUP_INTERVAL_MS;
    if (this.rollups.size === 0) return;
    const { id, rolledSequence } = this.boot;
    const added = await this.options.ledger.addRollups(id, rolledSequence, this.sequence, this.rollups);
    if (added) this.boot = { id, rolledSequence: this.sequence };
    else await this.rollUpFromStore();
    this.rollups.clear();
  }

  /** Another process took this run for dead and summed it up to some segment: the stored ones after that are ours. */
  private async rollUpFromStore(): Promise<void> {
    const boot = await this.options.ledger.openBoot(this.options.bootId);
    this.boot = await replay(this.options.ledger, boot);
  }

  private async deleteOld(): Promise<void> {
    const now = this.options.now();
    if (now < this.retentionDueAt || now < this.retryAt) return;
    const { ledger, retentionMs, maxStoreBytes = MAX_STORE_BYTES } = this.options;
    try {
      const isTooLarge = (await ledger.usedBytes()) > maxStoreBytes;
      const deleted = await ledger.deleteSegments(isTooLarge ? now : now - retentionMs, DELETED_PER_DRAIN);
      if (deleted < DELETED_PER_DRAIN) this.retentionDueAt = now + RETENTION_INTERVAL_MS;
    } catch (error) {
      this.retentionDueAt = now + RETENTION_INTERVAL_MS;
      this.options.onError(error);
    }
  }
}

/**
 * Sums the segments of a run that are beyond its rolled sequence, and answers the run as it then stands. Rejects when
 * another process is doing the same: what it has added stays added once, and trying again goes on from there.
 */
async function replay(ledger: UsageLedger, boot: Boot): Promise<Boot> {
  const table = new RollupTable();
  let at = boot.rolledSequence;
  for (;;) {
    const segments = await ledger.segmentsAfter(boot.id, at, REPLAY_SEGMENTS);
    const last = segments.at(-1);
    if (!last) return { id: boot.id, rolledSequence: at };
    for (const { records, count } of segments) table.add(recordWords(records), count);
    if (!(await ledger.addRollups(boot.id, at, last.sequence, table))) {
      throw new Error('another process is adding the usage of the same run; it will be tried again');
    }
    table.clear();
    at = last.sequence;
  }
}
