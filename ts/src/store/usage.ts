/**
 * The usage ledger: batches as they came, and their sums. Writes go to the database's {@link UsageWriter}, reports and
 * lists to where they hold up nothing.
 */
import { type Kysely, sql } from 'kysely';
import type {
  Boot,
  NewSegment,
  RollupQuery,
  RollupRow,
  SegmentQuery,
  StoredSegment,
  UsageLedger,
} from '../usage/ports.js';
import { widened } from '../usage/record.js';
import type { RollupTable } from '../usage/rollup-table.js';
import { type Database, MAX_SEGMENT_SPAN_MS } from './database.js';
import { MINUTES_PER_HOUR, reportQuery, type ReportRow, reportRow } from './report.js';
import type { Schema } from './schema.js';

/** The ledger in the store. */
export class StoredUsage implements UsageLedger {
  private readonly db: Kysely<Schema>;

  constructor(private readonly database: Database) {
    this.db = database.quiet;
  }

  async openBoot(bootId: string): Promise<Boot> {
    const inserted = this.db.insertInto('usage_boot').values({ boot_id: bootId, rolled_sequence: 0 });
    await inserted.onConflict((conflict) => conflict.column('boot_id').doNothing()).execute();
    return boot(await this.boots().where('boot_id', '=', bootId).executeTakeFirstOrThrow());
  }

  async unrolledBoots(): Promise<Boot[]> {
    const rows = await this.boots()
      .where(({ exists, selectFrom }) =>
        exists(
          selectFrom('usage_segment')
            .select('usage_segment.id')
            .whereRef('usage_segment.boot', '=', 'usage_boot.id')
            .whereRef('usage_segment.sequence', '>', 'usage_boot.rolled_sequence'),
        ),
      )
      .orderBy('id')
      .execute();
    return rows.map(boot);
  }

  /** Runs, with the last sequence of their segments. */
  private boots() {
    return this.db
      .selectFrom('usage_boot')
      .select(['usage_boot.id', 'rolled_sequence'])
      .select(({ selectFrom }) =>
        selectFrom('usage_segment')
          .select(({ fn }) => fn.max('sequence').as('last'))
          .whereRef('usage_segment.boot', '=', 'usage_boot.id')
          .as('last_sequence'),
      );
  }

  makeDurable(): Promise<void> {
    return this.database.makeDurable();
  }

  writeSegments(bootId: number, segments: readonly NewSegment[]): Promise<void> {
    return this.database.usage.writeSegments(bootId, segments);
  }

  async segmentsAfter(bootId: number, sequence: number, limit: number): Promise<StoredSegment[]> {
    const rows = this.db.selectFrom('usage_segment').selectAll().where('boot', '=', bootId);
    return (await rows.where('sequence', '>', sequence).orderBy('sequence').limit(limit).execute()).map(
      segment,
    );
  }

  addRollups(bootId: number, from: number, to: number, rollups: RollupTable): Promise<boolean> {
    return this.database.usage.addRollups(bootId, from, to, rollups);
  }

  async queryRollups(query: RollupQuery): Promise<RollupRow[]> {
    const found = (await this.database.read(reportQuery(this.db, query))) as ReportRow[];
    return found.flatMap((row) => reportRow(row, query.groupBy) ?? []);
  }

  async querySegments(query: SegmentQuery): Promise<StoredSegment[]> {
    const { at } = query;
    let select = this.db
      .selectFrom('usage_segment')
      .selectAll()
      .where('first_ms', '>=', query.fromMs - MAX_SEGMENT_SPAN_MS)
      .where('first_ms', '<', query.toMs)
      .where('last_ms', '>=', query.fromMs);
    if (at)
      select = select.where((of) => of(of.refTuple('first_ms', 'id'), '<=', of.tuple(at.firstMs, at.id)));
    select = select.orderBy('first_ms', 'desc').orderBy('id', 'desc').limit(query.limit);
    return (await this.database.read(select)).map(segment);
  }

  async usedBytes(): Promise<number> {
    const bytes = this.db
      .selectFrom('usage_boot')
      .select((of) => of.fn.sum<number | null>('segment_bytes').as('bytes'));
    return (await bytes.executeTakeFirst())?.bytes ?? 0;
  }

  deleteSegments(beforeMs: number, limit: number): Promise<number> {
    return this.db.transaction().execute(async (tx) => {
      const old = await tx
        .selectFrom('usage_segment')
        .innerJoin('usage_boot', 'usage_boot.id', 'usage_segment.boot')
        .select(['usage_segment.id', 'boot', segmentBytes.as('bytes')])
        .where('first_ms', '<', beforeMs)
        .where('last_ms', '<', beforeMs)
        .whereRef('sequence', '<=', 'rolled_sequence')
        .orderBy('first_ms')
        .limit(limit)
        .execute();
      if (old.length === 0) return 0;
      const ids = old.map(({ id }) => id);
      await tx.deleteFrom('usage_segment').where('id', 'in', ids).execute();
      for (const [id, bytes] of sumByBoot(old)) {
        const shrink = tx
          .updateTable('usage_boot')
          .set((of) => ({ segment_bytes: of('segment_bytes', '-', bytes) }));
        await shrink.where('id', '=', id).execute();
      }
      return old.length;
    });
  }

  async deleteRollups(beforeMinute: number): Promise<boolean> {
    const fine = await this.deleteOldest('usage_rollup', 1, beforeMinute);
    const coarse = await this.deleteOldest('usage_rollup_hour', MINUTES_PER_HOUR, beforeMinute);
    return fine || coarse;
  }

  private async deleteOldest(
    table: 'usage_rollup' | 'usage_rollup_hour',
    intervalMinutes: number,
    beforeMinute: number,
  ): Promise<boolean> {
    const first = this.db.selectFrom(table).select('minute').orderBy('minute').limit(1);
    const oldest = (await first.executeTakeFirst())?.minute;
    if (oldest === undefined || oldest >= beforeMinute) return false;
    const end = Math.min(beforeMinute, oldest + INTERVALS_PER_DELETION * intervalMinutes);
    await this.db.deleteFrom(table).where('minute', '<', end).execute();
    return end < beforeMinute;
  }
}

/** Minutes of the fine sums deleted at a time, and of the coarse ones likewise so many hours. */
const INTERVALS_PER_DELETION = 10;

/** As the size of a run's segments is counted. */
const segmentBytes = sql<number>`length(records) + coalesce(length(costs), 0)`;

function sumByBoot(rows: readonly { boot: number; bytes: number }[]): Map<number, number> {
  const sums = new Map<number, number>();
  for (const { boot: id, bytes } of rows) sums.set(id, (sums.get(id) ?? 0) + bytes);
  return sums;
}

function boot(row: { id: number; rolled_sequence: number; last_sequence: number | null }): Boot {
  const { id, rolled_sequence: rolledSequence, last_sequence: last } = row;
  return { id, rolledSequence, storedSequence: Math.max(rolledSequence, last ?? 0) };
}

function segment(row: {
  id: number;
  sequence: number;
  first_ms: number;
  last_ms: number;
  count: number;
  records: Uint8Array | ArrayBuffer;
  costs: Uint8Array | ArrayBuffer | null;
  price_version: string | null;
}): StoredSegment {
  const { id, sequence, count } = row;
  const records = widened(bytesOf(row.records), count, row.costs && bytesOf(row.costs));
  const { first_ms: firstMs, last_ms: lastMs, price_version: priceVersion } = row;
  return { id, sequence, firstMs, lastMs, count, records, priceVersion };
}

function bytesOf(blob: Uint8Array | ArrayBuffer): Uint8Array {
  if (!(blob instanceof Uint8Array)) return new Uint8Array(blob);
  return new Uint8Array(blob.buffer, blob.byteOffset, blob.byteLength);
}
