/** The databases that the store runs on, for tests that hold for each of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { describe } from 'vitest';
import { openStore, type Store } from '../../src/store/index.js';
import type { PostgresPlace } from '../../src/store/postgres.js';
import { postgresPrograms, SERVER_USER, sharedServer } from './postgres-server.js';

/** A place for one store, empty at first. */
export interface StorePlace {
  /** Opens it, as often as wanted: each is like a process of its own. */
  open(): Promise<Store>;
  /** Arguments of `openStore`, to be given to another process. */
  readonly args: readonly [dataDir: string, postgres: PostgresPlace | null];
  remove(): Promise<void>;
}

/** One database. */
export interface Engine {
  readonly name: 'SQLite' | 'PostgreSQL';
  place(): Promise<StorePlace>;
}

const SQLITE: Engine = {
  name: 'SQLite',
  place: () => {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-store-'));
    return Promise.resolve({
      open: () => openStore(dir),
      args: [dir, null],
      remove: () => {
        rmSync(dir, { recursive: true, force: true });
        return Promise.resolve();
      },
    });
  },
};

const POSTGRES: Engine = {
  name: 'PostgreSQL',
  place: async () => {
    const postgres = await freshDatabase();
    return {
      open: () => openStore('', postgres),
      args: ['', postgres],
      remove: () => administer(postgres, `drop database ${postgres.database} with (force)`),
    };
  },
};

let databases = 0;

/** A new database of the shared server. */
export async function freshDatabase(): Promise<PostgresPlace> {
  const { host, port } = await sharedServer(process.env['SLUICE_TEST_POSTGRES_FOLDER'] ?? '');
  databases += 1;
  const database = `test_${process.pid}_${databases}`;
  const access = { host, port, user: SERVER_USER, password: null, database, tls: null };
  const place: PostgresPlace = { ...access, schema: 'sluice', maxConnections: 4 };
  await administer(place, `create database ${database}`);
  return place;
}

/** Runs a statement in the server's own database. */
async function administer({ host, port, user }: PostgresPlace, statement: string): Promise<void> {
  const client = new pg.Client({ host, port, user, database: 'postgres' });
  await client.connect();
  await client.query(statement);
  await client.end();
}

/** Runs statements in the schema of a place, past the store; the rows of the last. */
export async function statements(place: PostgresPlace, ...texts: readonly string[]): Promise<unknown[]> {
  const { host, port, user, database, schema } = place;
  const client = new pg.Client({ host, port, user, database, options: `-c search_path=${schema}` });
  await client.connect();
  let rows: unknown[] = [];
  for (const text of texts) ({ rows } = await client.query<Record<string, unknown>>(text));
  await client.end();
  return rows;
}

/** Whether tests with PostgreSQL can run. Where everything is to be tested, its absence is a failure. */
export const HAS_POSTGRES: boolean = hasPostgres();

function hasPostgres(): boolean {
  if (postgresPrograms() !== null) return true;
  if (process.env['CI'] === 'true')
    throw new Error('PostgreSQL is not installed: apt-get install postgresql');
  console.warn(
    'PostgreSQL is not installed, so the store is tested on SQLite only (apt-get install postgresql)',
  );
  return false;
}

/** The same tests for each database. */
export function describeEach(suite: (engine: Engine) => void): void {
  for (const engine of [SQLITE, ...(HAS_POSTGRES ? [POSTGRES] : [])])
    describe(engine.name, () => suite(engine));
}
