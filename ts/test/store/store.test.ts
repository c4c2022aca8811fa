import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RECORD_BYTES } from '../../src/bridge/generated/record.js';
import { NameTaken, type NewVirtualKey, type VirtualKeyRow } from '../../src/governance/ports.js';
import { DATABASE_FILE, IncompatibleDatabase, openStore, type Store } from '../../src/store/index.js';
import { MIGRATIONS } from '../../src/store/migrations.js';
import { migrate } from '../../src/store/sqlite-migrate.js';
import { openDatabase } from '../../src/store/sqlite.js';
import { listRequests } from '../../src/usage/index.js';
import { OK, records, T0 } from '../usage/records.js';

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

const digest = (digit: string) => ({ sha256: digit.repeat(64), expiresAt: null });

function newKey(name: string, over: Partial<NewVirtualKey> = {}): NewVirtualKey {
  return { name, digests: [digest('a')], models: ['*'], limits: {}, createdAt: 1_000, hint: 'wxyz', ...over };
}

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

describe('labels', () => {
  it('give one lasting id per kind and name, over restarts', async () => {
    const first = await store.labelIds([
      { kind: 'provider', name: 'openai' },
      { kind: 'model', name: 'openai' },
      { kind: 'provider', name: 'openai' },
    ]);
    expect(first[0]).toBe(first[2]);
    expect(new Set(first).size).toBe(2);
    expect(Math.min(...first)).toBeGreaterThan(0);
    await store.close();
    store = await openStore(dir);
    const [again, fresh] = await store.labelIds([
      { kind: 'model', name: 'openai' },
      { kind: 'model', name: 'new' },
    ]);
    expect(again).toBe(first[1]);
    expect(first).not.toContain(fresh);
    expect(await store.listLabels()).toHaveLength(3);
  });

  it('share one sequence with keys, so that no id ever means two things', async () => {
    const [label] = await store.labelIds([{ kind: 'provider', name: 'openai' }]);
    const key = await store.insertKey(newKey('one'));
    const [later] = await store.labelIds([{ kind: 'provider', name: 'other' }]);
    expect(new Set([label, key.id, later]).size).toBe(3);
  });

  it('do not give the id of a discarded key to another', async () => {
    const discarded = await store.insertKey(newKey('one'));
    await store.discardKey(discarded.id);
    const next = await store.insertKey(newKey('one'));
    expect(next.id).toBeGreaterThan(discarded.id);
    expect(await store.findKey(discarded.id)).toBeNull();
  });
});

describe('facts', () => {
  it('are set, replaced and found', async () => {
    expect(await store.fact('token')).toBeNull();
    await store.setFact('token', 'one');
    await store.setFact('token', 'two');
    expect(await store.fact('token')).toBe('two');
  });
});

describe('keys', () => {
  it('come back as they were stored', async () => {
    const key = newKey('full', {
      digests: [digest('a'), { sha256: 'b'.repeat(64), expiresAt: 99 }],
      models: ['gpt-*', 'o1'],
      limits: { requestsPerMinute: 1, tokensPerMinute: 2, concurrency: 3 },
    });
    const stored = await store.insertKey(key);
    expect(stored).toEqual({ ...key, id: stored.id, source: 'api', revokedAt: null });
    expect(await store.findKey(stored.id)).toEqual(stored);
    expect(await store.listKeys()).toEqual([stored]);
  });

  it('hold a name once among the live, and free it on revocation', async () => {
    const first = await store.insertKey(newKey('team'));
    await expect(store.insertKey(newKey('team'))).rejects.toThrow(NameTaken);
    await store.updateKey(first.id, { revokedAt: 5 });
    const second = await store.insertKey(newKey('team'));
    await expect(store.updateKey(first.id, { revokedAt: null })).rejects.toThrow(NameTaken);
    expect((await store.listKeys()).map((key) => [key.id, key.revokedAt])).toEqual([
      [first.id, 5],
      [second.id, null],
    ]);
  });

  it('change only what a change names', async () => {
    const stored = await store.insertKey(newKey('one', { limits: { concurrency: 3 } }));
    const changed = await store.updateKey(stored.id, { digests: [digest('c'), digest('a')], hint: 'new1' });
    expect(changed).toEqual({ ...stored, digests: [digest('c'), digest('a')], hint: 'new1' });
    expect(await store.findKey(stored.id)).toEqual(changed);
    expect(await store.updateKey(stored.id, { limits: {} })).toMatchObject({ limits: {} });
    expect(await store.updateKey(9_999, { hint: 'x' })).toBeNull();
  });

  it('of the config are mirrored: added, changed, revoked, brought back', async () => {
    const [a, b] = (await store.labelIds([
      { kind: 'key', name: 'a' },
      { kind: 'key', name: 'b' },
    ])) as [number, number];
    const row = (id: number, name: string): VirtualKeyRow => ({
      ...newKey(name),
      id,
      source: 'config',
      revokedAt: null,
    });
    const api = await store.insertKey(newKey('api'));
    await store.mirrorConfigKeys([row(a, 'a'), row(b, 'b')], 10);
    await store.mirrorConfigKeys([{ ...row(a, 'b'), models: ['m'] }], 20);
    const state = async () =>
      (await store.listKeys()).map((key) => [key.id, key.name, key.models, key.revokedAt]);
    expect(await state()).toEqual([
      [a, 'b', ['m'], null],
      [b, 'b', ['*'], 20],
      [api.id, 'api', ['*'], null],
    ]);
    await store.mirrorConfigKeys([row(b, 'b')], 30);
    expect((await state()).slice(0, 2)).toEqual([
      [a, 'b', ['m'], 30],
      [b, 'b', ['*'], null],
    ]);
    expect(await store.updateKey(a, { hint: 'no' })).toBeNull();
    await expect(store.mirrorConfigKeys([row(b, 'api')], 40)).rejects.toThrow(NameTaken);
    expect((await state())[1]).toEqual([b, 'b', ['*'], null]);
  });

  it('are noticed when another process changes them', async () => {
    const before = await store.changeCounter();
    await store.insertKey(newKey('own'));
    expect(await store.changeCounter()).toBe(before);
    const other = await openStore(dir);
    await other.insertKey(newKey('theirs'));
    await other.close();
    expect(await store.changeCounter()).not.toBe(before);
  });
});
