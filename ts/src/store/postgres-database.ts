/** PostgreSQL as a {@link Database}: a pool for what is written and looked up, and another for reports. */
import { type Compilable, Kysely } from 'kysely';
import type pg from 'pg';
import { StoreUnavailable } from '../governance/ports.js';
import type { Database, UsageWriter } from './database.js';
import { OwnChanges, type Pooled, PooledClient, PostgresStoreDialect } from './postgres-driver.js';
import { migratePostgres } from './postgres-migrate.js';
import { PostgresUsageWriter } from './postgres-usage.js';
import { openPool, type PostgresPlace } from './postgres.js';
import type { Schema } from './schema.js';

/** Longest time of a statement that writes or looks up. */
const STATEMENT_MS = 10_000;

/** Longest time of a report; one that needs more wants a shorter range. */
const REPORT_MS = 30_000;

/** Reports that may wait for a connection; more are refused at once. */
const MAX_WAITING = 32;

/** Looks at the counter of changes while own changes are under way, before it is taken as it is. */
const MAX_LOOKS = 8;

/** A schema of a PostgreSQL database. */
export class PostgresDatabase implements Database {
  readonly db: Kysely<Schema>;
  readonly quiet: Kysely<Schema>;
  readonly usage: UsageWriter;
  private readonly own = new OwnChanges();
  private readonly reports: Pooled;

  private constructor(
    private readonly pool: pg.Pool,
    private readonly reportPool: pg.Pool,
    place: PostgresPlace,
  ) {
    const pooled: Pooled = { pool, place };
    this.reports = { pool: reportPool, place };
    this.db = new Kysely<Schema>({ dialect: new PostgresStoreDialect(pooled, this.own) });
    this.quiet = new Kysely<Schema>({ dialect: new PostgresStoreDialect(pooled, null) });
    this.usage = new PostgresUsageWriter(pooled);
  }

  /** Makes and migrates the schema as needed. See {@link migratePostgres} for what it rejects with. */
  static async open(place: PostgresPlace): Promise<PostgresDatabase> {
    await migratePostgres(place);
    const forReports = Math.max(1, Math.floor(place.maxConnections / 2));
    const forWrites = Math.max(1, place.maxConnections - forReports);
    return new PostgresDatabase(
      openPool(place, { statementMs: STATEMENT_MS }, forWrites),
      openPool(place, { statementMs: REPORT_MS, readOnly: true }, forReports),
      place,
    );
  }

  async read<T>(query: Compilable<T>): Promise<T[]> {
    if (this.reportPool.waitingCount >= MAX_WAITING)
      throw new StoreUnavailable('too many reports are being made; try again later', 'BUSY');
    const client = await PooledClient.take(this.reports);
    try {
      const { sql, parameters } = query.compile();
      return (await client.query(sql, parameters)).rows as T[];
    } catch (error) {
      if ((error as { code?: string }).code !== QUERY_CANCELED) throw error;
      throw new StoreUnavailable('the report took too long; ask for a shorter range', QUERY_CANCELED);
    } finally {
      client.release();
    }
  }

  /**
   * The counter without what this process has added to it. A commit that is under way could be in the one number and not
   * in the other, so it is looked at again; taken wrongly, it costs a reload that changes nothing.
   */
  async changeCounter(): Promise<number> {
    let others = 0;
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const { committed } = this.own;
      const isCalm = this.own.underWay === 0;
      const row = await this.quiet.selectFrom('sluice_store').select('changes').executeTakeFirst();
      others = (row?.changes ?? 0) - committed;
      if (isCalm && this.own.underWay === 0 && this.own.committed === committed) return others;
    }
    return others;
  }

  /** A commit is answered when it is on the disk. */
  makeDurable(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await Promise.all([this.pool.end(), this.reportPool.end()]);
  }
}

const QUERY_CANCELED = '57014';
