import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RECORD_BYTES } from '../../src/bridge/generated/record.js';
import { DATABASE_FILE, IncompatibleDatabase, openStore, type Store } from '../../src/store/index.js';
import { MIGRATIONS } from '../../src/store/migrations.js';
import { migrate } from '../../src/store/sqlite-migrate.js';
import { openDatabase } from '../../src/store/sqlite.js';
import { listRequests, UsageRecorder } from '../../src/usage/index.js';
import { FakeSource, OK, records, T0 } from '../usage/records.js';

let dir: string;
let store: Store;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-store-'));
  store = await openStore(dir);
});

afterEach(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

describe('files', () => {
  it('are readable by their owner only', async () => {
    await store.setFact('a', 'b');
    for (const file of [DATABASE_FILE, `${DATABASE_FILE}-wal`, `${DATABASE_FILE}-shm`]) {
      expect(statSync(join(dir, file)).mode & 0o777, file).toBe(0o600);
    }
  });

  it('keep the journal mode, page size and foreign keys the store relies on', () => {
    const { connection } = openDatabase(dir);
    expect(connection.raw.pragma('journal_mode', { simple: false })).toEqual([{ journal_mode: 'wal' }]);
    expect(connection.pragmaNumber('page_size')).toBe(32_768);
    expect(connection.pragmaNumber('synchronous')).toBe(1);
    expect(connection.pragmaNumber('foreign_keys')).toBe(1);
    connection.raw.close();
  });
});

describe('migrations', () => {
  const versions = MIGRATIONS.map((_, version) => version);

  it.each(versions)('bring version %i to the newest schema, the same as a fresh one', (version) => {
    const old = openDatabase(mkdtempSync(join(dir, 'old-')));
    migrate(old.connection, old.path, version);
    expect(old.connection.pragmaNumber('user_version')).toBe(version);
    migrate(old.connection, old.path);
    const schema = (raw: Database.Database) =>
      raw.prepare('select name, sql from sqlite_master order by name').all();
    const fresh = openDatabase(dir);
    expect(schema(old.connection.raw)).toEqual(schema(fresh.connection.raw));
    expect(old.connection.pragmaNumber('user_version')).toBe(MIGRATIONS.length);
    old.connection.raw.close();
    fresh.connection.raw.close();
  });

  it('keep what the older version stored', async () => {
    const oldDir = mkdtempSync(join(dir, 'old-'));
    const old = openDatabase(oldDir);
    migrate(old.connection, old.path, 1);
    old.connection.exec("insert into fact values ('kept', 'yes')");
    old.connection.raw.close();
    const migrated = await openStore(oldDir);
    expect(await migrated.fact('kept')).toBe('yes');
    await migrated.close();
  });

  it('sum by hour what was summed by minute before', async () => {
    const oldDir = mkdtempSync(join(dir, 'old-'));
    const old = openDatabase(oldDir);
    migrate(old.connection, old.path, 2);
    for (const minute of [59, 60, 61, 119, 120]) {
      old.connection.exec(
        `insert into usage_rollup values (${minute}, 1, 2, 3, 1, 0, 10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)`,
      );
    }
    old.connection.raw.close();
    const migrated = await openStore(oldDir);
    const range = { fromMinute: 0, toMinute: 180, groupBy: [], filter: {}, limit: 9, offset: 0 } as const;
    const rows = await migrated.usage.queryRollups({ ...range, interval: 'hour' });
    expect(rows.map(({ minute, sums }) => [minute, sums.requests])).toEqual([
      [0, 10],
      [60, 30],
      [120, 10],
    ]);
    await migrated.close();
  });

  it('keep the sums, and the single requests, of a time with fewer kinds of tokens', async () => {
    const FORMER_BYTES = 96;
    const oldDir = mkdtempSync(join(dir, 'old-'));
    const old = openDatabase(oldDir);
    migrate(old.connection, old.path, 3);
    const now = records([OK, { ...OK, key_id: 9 }]);
    const former = Buffer.concat([0, RECORD_BYTES].map((at) => now.subarray(at, at + FORMER_BYTES)));
    const insert = old.connection.prepare(
      'insert into usage_segment (boot, sequence, first_ms, last_ms, count, records) values (1, 1, ?, ?, 2, ?)',
    );
    old.connection.exec("insert into usage_boot (boot_id, rolled_sequence) values ('former', 0)");
    insert.run([T0, T0 + 5, former]);
    old.connection.exec(
      'insert into usage_rollup values (1, 1, 2, 3, 1, 0, 10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)',
    );
    old.connection.raw.close();
    const migrated = await openStore(oldDir);
    const { requests } = await listRequests(migrated.usage, { fromMs: T0, toMs: T0 + 60_000, limit: 9 });
    expect(
      requests.map(({ keyId, inputTokens, audioInputTokens }) => [keyId, inputTokens, audioInputTokens]),
    ).toEqual([
      [1, 100, 0],
      [9, 100, 0],
    ]);
    const range = { fromMinute: 0, toMinute: 60, groupBy: [], filter: {}, limit: 9, offset: 0 } as const;
    const [row] = await migrated.usage.queryRollups({ ...range, interval: 'minute' });
    expect(row?.sums).toMatchObject({ requests: 10, input_tokens: 1, audio_input_tokens: 0, gateway_us: 1 });
    await migrated.close();
  });

  it('keep what was booked beside the records before they said it themselves', async () => {
    const FORMER_BYTES = 112;
    const oldDir = mkdtempSync(join(dir, 'old-'));
    const old = openDatabase(oldDir);
    migrate(old.connection, old.path, 5);
    const now = records([OK, OK, OK]);
    const former = Buffer.concat(
      [0, 1, 2].map((at) => now.subarray(at * RECORD_BYTES, at * RECORD_BYTES + FORMER_BYTES)),
    );
    const costs = Buffer.from(BigInt64Array.of(2n ** 53n + 1n, -1n, 0n).buffer);
    old.connection.exec("insert into usage_boot (boot_id, rolled_sequence) values ('former', 0)");
    const columns = 'boot, sequence, first_ms, last_ms, count, records, costs, price_version';
    old.connection
      .prepare(`insert into usage_segment (${columns}) values (1, 1, ?, ?, 3, ?, ?, 'v1')`)
      .run([T0, T0 + 5, former, costs]);
    old.connection.raw.close();
    const migrated = await openStore(oldDir);
    const { requests } = await listRequests(migrated.usage, { fromMs: T0, toMs: T0 + 60_000, limit: 9 });
    expect(requests.map(({ cost, pricesId, priceVersion }) => [cost, pricesId, priceVersion])).toEqual([
      [2n ** 53n + 1n, 0, 'v1'],
      [null, 0, 'v1'],
      [0n, 0, 'v1'],
    ]);
    await UsageRecorder.open({
      journal: new FakeSource(),
      onDamage: () => {},
      ledger: migrated.usage,
      bootId: 'now',
      retentionMs: 1e12,
      now: () => T0,
      onError: (error) => expect.fail(String(error)),
    });
    const range = { fromMinute: 0, toMinute: 2 ** 40, groupBy: [], filter: {}, limit: 9, offset: 0 } as const;
    const [row] = await migrated.usage.queryRollups(range);
    expect([row?.sums.requests, row?.sums.unpriced, row?.cost]).toEqual([3, 1, 2n ** 53n + 1n]);
    await migrated.close();
  });

  it('refuse a newer database and leave it alone', async () => {
    const newer = openDatabase(dir);
    newer.connection.exec(`pragma user_version = ${MIGRATIONS.length + 1}`);
    await expect(openStore(dir)).rejects.toThrow(IncompatibleDatabase);
    await expect(openStore(dir)).rejects.toThrow(
      new RegExp(`schema version ${MIGRATIONS.length + 1}.*knows up to ${MIGRATIONS.length}.*newer sluice`),
    );
    expect(newer.connection.pragmaNumber('user_version')).toBe(MIGRATIONS.length + 1);
    newer.connection.raw.close();
  });

  it("refuse another program's database", async () => {
    const foreign = mkdtempSync(join(dir, 'foreign-'));
    const raw = new Database(join(foreign, DATABASE_FILE));
    raw.exec('create table theirs (x)');
    raw.close();
    await expect(openStore(foreign)).rejects.toThrow(/another program/);
  });

  it('leave nothing behind when a step fails', () => {
    const half = openDatabase(mkdtempSync(join(dir, 'half-')));
    half.connection.exec('create table usage_rollup (x)');
    half.connection.exec('pragma application_id = 0x534c4345');
    expect(() => migrate(half.connection, half.path)).toThrow(/already exists/);
    expect(half.connection.pragmaNumber('user_version')).toBe(0);
    expect(half.connection.all("select name from sqlite_master where type = 'table'", [])).toHaveLength(1);
    half.connection.raw.close();
  });
});
