/**
 * SQLite through libsql's synchronous API: opening the file, and the dialect that lets Kysely speak to it.
 *
 * There is one connection. Kysely hands it out under a mutex, and every transaction begins `immediate`, so statements of
 * two transactions never interleave and a second process waits at `begin` instead of failing at its first write.
 */
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import Database from 'libsql';

/** File of the store within the data directory. */
export const DATABASE_FILE = 'sluice.db';

/** How long a statement waits for another process's lock. */
const BUSY_TIMEOUT_MS = 5_000;

/** Only the owner may read what holds key digests. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** Usage segments are hundreds of kilobytes: large pages write them with an eighth of the calls and half the CPU. */
const PAGE_BYTES = 32_768;

/** Size the write-ahead log is cut back to after a burst has made it longer. */
const LOG_BYTES = 64 * 1024 * 1024;

/** What SQLite stores and returns. */
export type SqlValue = number | string | null | Uint8Array;

/** One row by column name. */
export type SqlRow = Record<string, SqlValue>;

/** A prepared statement, for paths where preparing on every call would cost more than the work. */
export interface SqlStatement {
  /** Runs it and tells how many rows changed. */
  run(values: readonly SqlValue[]): number;
}

/** The connection, synchronously. */
export class SqliteConnection {
  constructor(readonly raw: Database.Database) {}

  exec(sql: string): void {
    this.raw.exec(sql);
  }

  all(sql: string, values: readonly SqlValue[]): SqlRow[] {
    return this.raw.prepare<[readonly SqlValue[]]>(sql).all(values) as SqlRow[];
  }

  prepare(sql: string): SqlStatement {
    const statement = this.raw.prepare<[readonly SqlValue[]]>(sql);
    return { run: (values) => statement.run(values).changes };
  }

  /** Value of an integer pragma. */
  pragmaNumber(name: string): number {
    const row = this.all(`pragma ${name}`, [])[0];
    return Number(row?.[name] ?? 0);
  }

  /** Runs `work` in a write transaction; whatever it throws rolls back. */
  transaction<T>(work: () => T): T {
    this.exec('begin immediate');
    try {
      const result = work();
      this.exec('commit');
      return result;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /** SQLite has rolled back by itself after some errors (a full disk), and then refuses to do it again. */
  private rollback(): void {
    if (this.raw.inTransaction) this.exec('rollback');
  }
}

/** Opens (and creates) the database file of a data directory, readable by its owner only. */
export function openDatabase(dataDir: string): { connection: SqliteConnection; path: string } {
  const path = join(dataDir, DATABASE_FILE);
  mkdirSync(dataDir, { recursive: true, mode: DIRECTORY_MODE });
  closeSync(openSync(path, 'a', FILE_MODE));
  chmodSync(path, FILE_MODE);
  const connection = new SqliteConnection(new Database(path, { timeout: BUSY_TIMEOUT_MS }));
  configure(connection);
  return { connection, path };
}

/** Opens an existing database for reading only, beside the connection that writes. */
export function openReadOnly(path: string): SqliteConnection {
  const connection = new SqliteConnection(new Database(path, { timeout: BUSY_TIMEOUT_MS }));
  connection.exec('pragma query_only = on');
  return connection;
}

/** The page size counts only for a new file and before the write-ahead log exists, so it comes first. */
function configure(connection: SqliteConnection): void {
  connection.exec(`pragma page_size = ${PAGE_BYTES}`);
  connection.raw.pragma('journal_mode = wal');
  connection.raw.pragma(`journal_size_limit = ${LOG_BYTES}`);
  connection.exec('pragma synchronous = normal');
  connection.exec('pragma foreign_keys = on');
}

/** Kysely's SQLite dialect, with transactions that take the write lock at once. */
export class LibsqlDialect implements Dialect {
  constructor(private readonly connection: SqliteConnection) {}

  createDriver = (): SqliteDriver => new ImmediateDriver({ database: this.connection.raw });
  createQueryCompiler = (): SqliteQueryCompiler => new SqliteQueryCompiler();
  createAdapter = (): SqliteAdapter => new SqliteAdapter();
  createIntrospector = (db: ConstructorParameters<typeof SqliteIntrospector>[0]): SqliteIntrospector =>
    new SqliteIntrospector(db);
}

class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }
}
