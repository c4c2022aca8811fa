/**
 * Migrations in PostgreSQL. Everything lies in one schema, which the first start makes; the version and the counter of
 * changes are the one row of a table of their own.
 */
import pg from 'pg';
import { POSTGRES_DDL } from './ddl.js';
import { IncompatibleDatabase, MIGRATIONS, refuseNewer } from './migrations.js';
import { lockStatement } from './postgres-driver.js';
import { failureOf } from './postgres-errors.js';
import { clientConfig, type PostgresPlace, serverName } from './postgres.js';

/** Waits before further tries to reach a server that may just be starting, milliseconds. */
const RETRY_MS: readonly number[] = [500, 1_000, 2_000, 4_000];

const META = `create table sluice_store (
  id ${POSTGRES_DDL.integer} primary key check (id = 1),
  version ${POSTGRES_DDL.integer} not null,
  changes ${POSTGRES_DDL.integer} not null
);
insert into sluice_store values (1, 0, 0);`;

/**
 * Brings the schema to `target` (the newest by default). Rejects with {@link IncompatibleDatabase}, or with a
 * `StoreUnavailable` where the server cannot be reached or does not let us in.
 */
export async function migratePostgres(
  place: PostgresPlace,
  target: number = MIGRATIONS.length,
  retryMs: readonly number[] = RETRY_MS,
): Promise<void> {
  const client = await connected(place, retryMs);
  try {
    await client.query('begin');
    await client.query(lockStatement(place.schema));
    await step(client, place, target);
    await client.query('commit');
  } catch (error) {
    throw error instanceof IncompatibleDatabase ? error : failureOf(error, place).error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function connected(place: PostgresPlace, retryMs: readonly number[]): Promise<pg.Client> {
  const client = new pg.Client(clientConfig(place, { statementMs: 0 }));
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (thrown) {
    await client.end().catch(() => undefined);
    const { error, passing } = failureOf(thrown, place);
    const [wait, ...rest] = retryMs;
    if (!passing || wait === undefined) throw error;
    await delay(wait);
    return connected(place, rest);
  }
}

async function step(client: pg.Client, place: PostgresPlace, target: number): Promise<void> {
  const from = await preparedVersion(client, place);
  const name = nameOf(place);
  refuseNewer(from, name);
  for (const { sql } of MIGRATIONS.slice(from, target)) await client.query(sql(POSTGRES_DDL));
  if (from < target) await client.query('update sluice_store set version = $1', [target]);
}

/** The version of the schema, which is made where it is missing and refused where it is another program's. */
async function preparedVersion(client: pg.Client, place: PostgresPlace): Promise<number> {
  const { schema } = place;
  const tables = await client.query<{ relname: string }>(
    'select relname from pg_class join pg_namespace n on n.oid = relnamespace where nspname = $1',
    [schema],
  );
  if (tables.rows.some(({ relname }) => relname === 'sluice_store')) {
    const { rows } = await client.query<{ version: number }>('select version from sluice_store');
    return rows[0]?.version ?? 0;
  }
  if (tables.rows.length > 0) {
    throw new IncompatibleDatabase(
      `${nameOf(place)} holds tables of another program; choose another store.postgres.schema`,
    );
  }
  const known = await client.query('select from pg_namespace where nspname = $1', [schema]);
  if (known.rowCount === 0) await client.query(`create schema ${schema}`);
  await client.query(META);
  return 0;
}

function nameOf(place: PostgresPlace): string {
  return `the schema "${place.schema}" of the database "${place.database}" of ${serverName(place)}`;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
