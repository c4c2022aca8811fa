/**
 * Kysely's driver for PostgreSQL, which gives transactions the meaning they have in SQLite: one after the other, over all
 * gateways, by an advisory lock. Governance writes a few rows a minute; code that reads, decides and writes is then right
 * on both databases, and an audit log has one order.
 *
 * A transaction that has written raises the counter of changes as it commits, so that other gateways notice.
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type Driver,
  type Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely';
import type pg from 'pg';
import type { PostgresPlace } from './postgres.js';
import { failureOf } from './postgres-errors.js';

/** First half of the advisory locks ("SLCE"); the second is made from the schema. */
const LOCK_CLASS = 0x534c4345;

/** The statement that waits for the lock of a schema, until the transaction ends. */
export function lockStatement(schema: string): string {
  return `select pg_advisory_xact_lock(${LOCK_CLASS}, hashtext('${schema}'))`;
}

/** What this process has committed, to tell its own changes from those of others. */
export class OwnChanges {
  /** Commits that have raised the counter. */
  committed = 0;
  /** Those that are on their way. */
  underWay = 0;
}

/** Runs statements over a pool. */
export interface Pooled {
  readonly pool: pg.Pool;
  readonly place: PostgresPlace;
}

/** The dialect. With `changes`, writes raise the counter of changes. */
export class PostgresStoreDialect implements Dialect {
  constructor(
    private readonly pooled: Pooled,
    private readonly changes: OwnChanges | null,
  ) {}

  createDriver = (): Driver => new PostgresStoreDriver(this.pooled, this.changes);
  createQueryCompiler = (): PostgresQueryCompiler => new PostgresQueryCompiler();
  createAdapter = (): PostgresAdapter => new PostgresAdapter();
  createIntrospector = (db: Kysely<unknown>): DatabaseIntrospector => new PostgresIntrospector(db);
}

/** The pool belongs to the database, which ends it; several dialects use it. */
class PostgresStoreDriver implements Driver {
  constructor(
    private readonly pooled: Pooled,
    private readonly changes: OwnChanges | null,
  ) {}

  init(): Promise<void> {
    return Promise.resolve();
  }

  async acquireConnection(): Promise<PostgresConnection> {
    return new PostgresConnection(
      await PooledClient.take(this.pooled),
      this.changes,
      this.pooled.place.schema,
    );
  }

  beginTransaction(connection: DatabaseConnection): Promise<void> {
    return own(connection).begin();
  }

  commitTransaction(connection: DatabaseConnection): Promise<void> {
    return own(connection).commit();
  }

  rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    return own(connection).rollback();
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    own(connection).client.release();
  }

  destroy(): Promise<void> {
    return Promise.resolve();
  }
}

function own(connection: DatabaseConnection): PostgresConnection {
  if (connection instanceof PostgresConnection) return connection;
  throw new TypeError('a connection of another driver');
}

/** A connection of the pool, which does not come back to it once it has failed. */
export class PooledClient {
  private isBroken = false;

  private constructor(
    private readonly client: pg.PoolClient,
    private readonly place: PostgresPlace,
  ) {}

  /** Waits for a free connection, or makes one. */
  static async take({ pool, place }: Pooled): Promise<PooledClient> {
    try {
      const client = await pool.connect();
      client.on('error', ignore);
      return new PooledClient(client, place);
    } catch (error) {
      throw failureOf(error, place).error;
    }
  }

  async query(text: string, values: readonly unknown[] = []): Promise<pg.QueryResult> {
    try {
      return await (values.length === 0 ? this.client.query(text) : this.client.query(text, [...values]));
    } catch (thrown) {
      const { error, broken } = failureOf(thrown, this.place);
      this.isBroken ||= broken;
      throw error;
    }
  }

  /** Runs `work` in a transaction; whatever it throws rolls back. */
  async transaction<T>(work: () => Promise<T>, begin = 'begin'): Promise<T> {
    try {
      await this.query(begin);
      const result = await work();
      await this.query('commit');
      return result;
    } catch (error) {
      await this.rollback();
      throw error;
    }
  }

  /** A connection that cannot even do this is not used again, and the server rolls back when it is gone. */
  async rollback(): Promise<void> {
    if (this.isBroken) return;
    await this.query('rollback').catch(() => {
      this.isBroken = true;
    });
  }

  release(): void {
    this.client.off('error', ignore);
    this.client.release(this.isBroken);
  }
}

/** A connection that breaks between two statements says so again at the next. */
function ignore(): void {}

class PostgresConnection implements DatabaseConnection {
  private isInTransaction = false;
  private hasWritten = false;

  constructor(
    readonly client: PooledClient,
    private readonly changes: OwnChanges | null,
    private readonly schema: string,
  ) {}

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (!writes(query)) return this.run(query);
    this.hasWritten = true;
    if (this.isInTransaction || this.changes === null) return this.run(query);
    return this.alone(query);
  }

  // eslint-disable-next-line require-yield -- the interface wants a generator
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new TypeError('the store does not stream queries');
  }

  async begin(): Promise<void> {
    this.hasWritten = false;
    this.isInTransaction = true;
    await this.client.query(`begin; ${lockStatement(this.schema)}`);
  }

  async commit(): Promise<void> {
    const { changes } = this;
    if (changes === null || !this.hasWritten) await this.client.query('commit');
    else await this.commitChange(changes);
    this.isInTransaction = false;
  }

  async rollback(): Promise<void> {
    this.isInTransaction = false;
    await this.client.rollback();
  }

  private async commitChange(changes: OwnChanges): Promise<void> {
    changes.underWay += 1;
    try {
      await this.client.query('update sluice_store set changes = changes + 1; commit');
      changes.committed += 1;
    } finally {
      changes.underWay -= 1;
    }
  }

  /** A single write, with its change of the counter. */
  private async alone<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    await this.begin();
    this.hasWritten = true;
    try {
      const result = await this.run<R>(query);
      await this.commit();
      return result;
    } catch (error) {
      await this.rollback();
      throw error;
    }
  }

  private async run<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, rowCount } = await this.client.query(query.sql, query.parameters);
    return { rows: rows as R[], ...(writes(query) && { numAffectedRows: BigInt(rowCount ?? 0) }) };
  }
}

/** Statements written as text count as writes unless they begin as a read. */
function writes({ query, sql }: CompiledQuery): boolean {
  if (query.kind === 'SelectQueryNode') return false;
  return query.kind !== 'RawNode' || !/^\s*select\b/i.test(sql);
}
