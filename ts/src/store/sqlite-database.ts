/** SQLite as a {@link Database}: one connection, prepared statements for usage, a process of its own for reports. */
import { type Compilable, Kysely } from 'kysely';
import type { NewSegment } from '../usage/ports.js';
import { ROLLUP_KEYS, ROLLUP_SUMS, type RollupTable } from '../usage/rollup-table.js';
import { type Database, segmentStart, type UsageWriter } from './database.js';
import type { Reader } from './reader.js';
import { COST_COLUMNS, costColumns, MINUTES_PER_HOUR } from './report.js';
import type { Schema } from './schema.js';
import { LibsqlDialect, type SqliteConnection, type SqlStatement, type SqlValue } from './sqlite.js';

/** The database of a data directory. */
export class SqliteDatabase implements Database {
  readonly db: Kysely<Schema>;
  readonly quiet: Kysely<Schema>;
  readonly usage: UsageWriter;

  constructor(
    private readonly connection: SqliteConnection,
    private readonly reader: Reader,
  ) {
    this.db = new Kysely<Schema>({ dialect: new LibsqlDialect(connection) });
    this.quiet = this.db;
    this.usage = new SqliteUsageWriter(this.db, connection);
  }

  async read<T>(query: Compilable<T>): Promise<T[]> {
    const { sql: text, parameters } = query.compile();
    return (await this.reader.all(text, parameters as readonly SqlValue[])) as T[];
  }

  /** SQLite counts by itself, and leaves out what this connection has written. */
  changeCounter(): Promise<number> {
    return this.db.connection().execute(async () => this.connection.pragmaNumber('data_version'));
  }

  /** Transactions are synced when the write-ahead log goes into the database. */
  makeDurable(): Promise<void> {
    return this.db.connection().execute(async () => {
      const [result] = this.connection.all('pragma wal_checkpoint(full)', []);
      if (result?.['busy'] === 0) return;
      throw new Error('the database could not be synced: another process has been using it for too long');
    });
  }

  close(): Promise<void> {
    this.reader.close();
    return this.db.destroy();
  }
}

const INSERT_SEGMENT = `insert into usage_segment (boot, sequence, first_ms, last_ms, count, records)
  values (?, ?, ?, ?, ?, ?) on conflict (boot, sequence) do nothing`;

const GROW_BOOT = 'update usage_boot set segment_bytes = segment_bytes + ? where id = ?';

const ADVANCE_BOOT = 'update usage_boot set rolled_sequence = ? where id = ? and rolled_sequence = ?';

/** Adds sums to a table that has the rollups' columns; in both tables `minute` is the first of the interval. */
function addRollup(table: 'usage_rollup' | 'usage_rollup_hour'): string {
  const summed: readonly string[] = [...ROLLUP_SUMS, ...COST_COLUMNS];
  const columns: readonly string[] = [...ROLLUP_KEYS, ...summed];
  const sums = summed.map((sum) => `${sum} = ${sum} + excluded.${sum}`).join(', ');
  return `insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})
    on conflict (${ROLLUP_KEYS.join(', ')}) do update set ${sums}`;
}

/** Prepared statements inside one synchronous transaction on the connection that Kysely hands out. */
class SqliteUsageWriter implements UsageWriter {
  private readonly statements = new Map<string, SqlStatement>();

  constructor(
    private readonly db: Kysely<Schema>,
    private readonly connection: SqliteConnection,
  ) {}

  writeSegments(bootId: number, segments: readonly NewSegment[]): Promise<void> {
    return this.inTransaction(() => {
      const insert = this.statement(INSERT_SEGMENT);
      let grown = 0;
      for (const segment of segments) {
        const isNew = insert.run([bootId, ...segmentValues(segment)]) === 1;
        if (isNew) grown += segment.records.byteLength;
      }
      this.statement(GROW_BOOT).run([grown, bootId]);
    });
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
  const { sequence, lastMs, count, records } = segment;
  const first = segmentStart(segment);
  return [sequence, first, lastMs, count, blob(records)];
}

/** The bytes as libsql takes them. */
function blob(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
