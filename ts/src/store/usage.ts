/**
 * The usage ledger. Its writes run many times a second, so they use prepared statements inside one synchronous
 * transaction on the connection that Kysely hands out. Reports and lists are read in a process of their own.
 */
import type { Compilable, Kysely } from 'kysely';
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
import { costBytes, costsFromBytes } from '../usage/costs.js';
import { ROLLUP_KEYS, ROLLUP_SUMS, type RollupTable } from '../usage/rollup-table.js';
import type { Reader } from './reader.js';
import {
  COST_COLUMNS,
  costColumns,
  MINUTES_PER_HOUR,
  reportQuery,
  type ReportRow,
  reportRow,
} from './report.js';
import type { Schema } from './schema.js';
import type { SqliteConnection, SqlStatement, SqlValue } from './sqlite.js';

/**
 * No segment is stored with a longer span of finish times than this (a stepped clock could make one), which lets a
 * listing bound its index scan from below.
 */
export const MAX_SEGMENT_SPAN_MS = 3_600_000;

const INSERT_SEGMENT = `insert into usage_segment (boot, sequence, first_ms, last_ms, count, records, costs, price_version)
  values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (boot, sequence) do nothing`;

const ADVANCE_BOOT = 'update usage_boot set rolled_sequence = ? where id = ? and rolled_sequence = ?';

/** Adds sums to a table that has the rollups' columns; in both tables `minute` is the first of the interval. */
function addRollup(table: 'usage_rollup' | 'usage_rollup_hour'): string {
  const summed: readonly string[] = [...ROLLUP_SUMS, ...COST_COLUMNS];
  const columns: readonly string[] = [...ROLLUP_KEYS, ...summed];
  const sums = summed.map((sum) => `${sum} = ${sum} + excluded.${sum}`).join(', ');
  return `insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})
    on conflict (${ROLLUP_KEYS.join(', ')}) do update set ${sums}`;
}

/** The ledger in SQLite. */
export class SqliteUsageLedger implements UsageLedger {
  private readonly statements = new Map<string, SqlStatement>();

  constructor(
    private readonly db: Kysely<Schema>,
    private readonly connection: SqliteConnection,
    private readonly reader: Reader,
  ) {}

  async openBoot(bootId: string): Promise<Boot> {
    const inserted = this.db.insertInto('usage_boot').values({ boot_id: bootId, rolled_sequence: 0 });
    await inserted.onConflict((conflict) => conflict.column('boot_id').doNothing()).execute();
    const found = this.db.selectFrom('usage_boot').selectAll().where('boot_id', '=', bootId);
    return boot(await found.executeTakeFirstOrThrow());
  }

  async unrolledBoots(): Promise<Boot[]> {
    const rows = await this.db
      .selectFrom('usage_boot')
      .selectAll()
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

  writeSegments(bootId: number, segments: readonly NewSegment[]): Promise<void> {
    return this.inTransaction(() => {
      const insert = this.statement(INSERT_SEGMENT);
      for (const segment of segments) insert.run([bootId, ...segmentValues(segment)]);
    });
  }

  async segmentsAfter(bootId: number, sequence: number, limit: number): Promise<StoredSegment[]> {
    const rows = this.db.selectFrom('usage_segment').selectAll().where('boot', '=', bootId);
    return (await rows.where('sequence', '>', sequence).orderBy('sequence').limit(limit).execute()).map(
      segment,
    );
  }

  addRollups(bootId: number, from: number, to: number, rollups: RollupTable): Promise<boolean> {
    return this.inTransaction(() => {
      if (this.statement(ADVANCE_BOOT).run([to, bootId, from]) !== 1) return false;
      const addMinute = this.statement(addRollup('usage_rollup'));
      const addHour = this.statement(addRollup('usage_rollup_hour'));
      rollups.forEach(([minute = 0, ...key], sums, cost) => {
        const values = [...key, ...sums, ...costColumns(cost)];
        addMinute.run([minute, ...values]);
        addHour.run([minute - (minute % MINUTES_PER_HOUR), ...values]);
      });
      return true;
    });
  }

  async queryRollups(query: RollupQuery): Promise<RollupRow[]> {
    const found = (await this.read(reportQuery(this.db, query))) as ReportRow[];
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
    return (await this.read(select.orderBy('first_ms', 'desc').orderBy('id', 'desc').limit(query.limit))).map(
      segment,
    );
  }

  usedBytes(): Promise<number> {
    return this.db.connection().execute(async () => {
      const pages =
        this.connection.pragmaNumber('page_count') - this.connection.pragmaNumber('freelist_count');
      return pages * this.connection.pragmaNumber('page_size');
    });
  }

  async deleteSegments(beforeMs: number, limit: number): Promise<number> {
    const old = this.db
      .selectFrom('usage_segment')
      .innerJoin('usage_boot', 'usage_boot.id', 'usage_segment.boot')
      .select('usage_segment.id')
      .where('first_ms', '<', beforeMs)
      .where('last_ms', '<', beforeMs)
      .whereRef('sequence', '<=', 'rolled_sequence')
      .orderBy('first_ms')
      .limit(limit);
    const result = await this.db.deleteFrom('usage_segment').where('id', 'in', old).executeTakeFirst();
    return Number(result.numDeletedRows);
  }

  /** Runs a query that may take long where it blocks nothing. */
  private async read<T>(query: Compilable<T>): Promise<T[]> {
    const { sql: text, parameters } = query.compile();
    return (await this.reader.all(text, parameters as readonly SqlValue[])) as T[];
  }

  /** Waits for the connection, then runs the work without giving way in between. */
  private inTransaction<T>(work: () => T): Promise<T> {
    return this.db.connection().execute(async () => this.connection.transaction(work));
  }

  private statement(text: string): SqlStatement {
    const known = this.statements.get(text);
    if (known) return known;
    const prepared = this.connection.prepare(text);
    this.statements.set(text, prepared);
    return prepared;
  }
}

function segmentValues(segment: NewSegment): SqlValue[] {
  const { records, costs, priceVersion } = segment;
  const first = Math.max(segment.firstMs, segment.lastMs - MAX_SEGMENT_SPAN_MS);
  const { sequence, lastMs, count } = segment;
  return [sequence, first, lastMs, count, blob(records), costs && blob(costBytes(costs)), priceVersion];
}

/** The bytes as libsql takes them. */
function blob(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function boot(row: { id: number; rolled_sequence: number }): Boot {
  return { id: row.id, rolledSequence: row.rolled_sequence };
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
  const records = widened(bytesOf(row.records), count);
  const costs = row.costs === null ? null : costsFromBytes(bytesOf(row.costs));
  const { first_ms: firstMs, last_ms: lastMs, price_version: priceVersion } = row;
  return { id, sequence, firstMs, lastMs, count, records, costs, priceVersion };
}

function bytesOf(blob: Uint8Array | ArrayBuffer): Uint8Array {
  return new Uint8Array(blob instanceof Uint8Array ? blob.buffer : blob);
}
