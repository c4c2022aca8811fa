import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OPEN_SCOPE } from '../../src/governance/entity.js';
import { NameTaken } from '../../src/governance/ports.js';
import { IncompatibleDatabase, openStore, type Store } from '../../src/store/index.js';
import { MIGRATIONS } from '../../src/store/migrations.js';
import { migratePostgres } from '../../src/store/postgres-migrate.js';
import type { PostgresPlace } from '../../src/store/postgres.js';
import { OK, records, T0 } from '../usage/records.js';
import { freshDatabase, HAS_POSTGRES, statements } from './engines.js';
import { freePort, removeServer, startAgain, startServer, stopServer } from './postgres-server.js';

let place: PostgresPlace;
const opened: Store[] = [];

async function open(at: PostgresPlace = place): Promise<Store> {
  const store = await openStore('', at);
  opened.push(store);
  return store;
}

const newKey = (name: string) => ({
  name,
  digests: [{ sha256: 'a'.repeat(64), expiresAt: null }],
  models: ['*'],
  limits: {},
  ...OPEN_SCOPE,
  createdAt: 1_000,
  hint: 'wxyz',
});

describe.runIf(HAS_POSTGRES)('PostgreSQL', () => {
  beforeEach(async () => {
    place = await freshDatabase();
  });

  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });

  describe('migrations', () => {
    const COLUMNS = `select table_name, column_name, data_type, is_nullable, column_default, collation_name
      from information_schema.columns where table_schema = current_schema() order by 1, 2`;
    const INDEXES = 'select indexdef from pg_indexes where schemaname = current_schema() order by 1';

    it.each(MIGRATIONS.map((_, version) => version))(
      'bring version %i to the newest schema, the same as a fresh one',
      async (version) => {
        await migratePostgres(place, version);
        expect(await statements(place, 'select version from sluice_store')).toEqual([
          { version: String(version) },
        ]);
        await migratePostgres(place);
        const fresh = { ...(await freshDatabase()) };
        await migratePostgres(fresh);
        expect(await statements(place, COLUMNS)).toEqual(await statements(fresh, COLUMNS));
        expect(await statements(place, INDEXES)).toEqual(await statements(fresh, INDEXES));
      },
    );

    it('use 64-bit numbers, text by code points and bytes, and nothing else', async () => {
      await migratePostgres(place);
      const rows = await statements(place, COLUMNS);
      const types = rows.map((row) => {
        const { data_type: type, collation_name: collation } = row as Record<string, string | null>;
        return `${type}${collation === null ? '' : ` ${collation}`}`;
      });
      expect([...new Set(types)].toSorted()).toEqual(['bigint', 'bytea', 'text C']);
    });

    it('refuse a newer schema and leave it alone', async () => {
      await migratePostgres(place);
      await statements(place, `update sluice_store set version = ${MIGRATIONS.length + 1}`);
      await expect(open()).rejects.toThrow(IncompatibleDatabase);
      await expect(open()).rejects.toThrow(
        new RegExp(
          `schema "sluice" .*127.0.0.1.* has schema version ${MIGRATIONS.length + 1}, .*newer sluice`,
        ),
      );
    });

    it("refuse another program's schema", async () => {
      await statements(place, 'create schema theirs', 'create table theirs.things (x int)');
      await expect(open({ ...place, schema: 'theirs' })).rejects.toThrow(
        /another program.*store\.postgres\.schema/,
      );
      expect(await statements({ ...place, schema: 'theirs' }, 'select * from things')).toEqual([]);
    });

    it('leave nothing behind when a step fails', async () => {
      await migratePostgres(place, 1);
      await statements(place, 'create table usage_rollup_hour (x int)');
      await expect(open()).rejects.toThrow(/already exists/);
      const left = "select version, to_regclass('usage_boot') as boot from sluice_store";
      expect(await statements(place, left)).toEqual([{ version: '1', boot: null }]);
    });
  });

  describe('a start that cannot be', () => {
    const SECRET = 'hunter2hunter2';
    const tried = (over: Partial<PostgresPlace>) =>
      migratePostgres({ ...place, password: SECRET, ...over }, undefined, []).then(
        () => '',
        (error: unknown) => {
          expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(SECRET);
          return (error as Error).message;
        },
      );

    it('names the server, and why', async () => {
      const port = await freePort();
      expect(await tried({ port })).toBe(
        `PostgreSQL at 127.0.0.1:${port} cannot be reached: nobody listens there`,
      );
      expect(await tried({ database: 'nowhere' })).toMatch(/has no database "nowhere"$/);
      expect(await tried({ user: 'nobody_here' })).toMatch(/refused the user "nobody_here"/);
      expect(await tried({ tls: { verify: 'name', caPem: null } })).toMatch(/offers no TLS.*sslmode=disable/);
      expect(await tried({ host: '/nowhere' })).toMatch(/^PostgreSQL at \/nowhere cannot be reached/);
    });

    it('says what rights are missing, and how to give them', async () => {
      await statements(place, `create role weak_${place.database} login`);
      expect(await tried({ user: `weak_${place.database}` })).toMatch(
        /has refused the user "weak_.*" the right to the schema "sluice".*create schema sluice authorization weak_/,
      );
    });

    it('does not wait for ever for a server that says nothing', { timeout: 15_000 }, async () => {
      const silent = await silentServer();
      expect(await tried({ port: silent.port })).toMatch(/has not answered in time$/);
      silent.close();
    });
  });

  describe('changes', () => {
    it('check 47: of another gateway are noticed, own ones and the bookkeeping of each are not', async () => {
      const [one, other] = [await open(), await open()];
      const seen = async () => [await one.changeCounter(), await other.changeCounter()];
      const [ones, others] = await seen();
      const key = await one.insertKey(newKey('a'));
      expect(await one.changeCounter()).toBe(ones);
      expect(await other.changeCounter()).not.toBe(others);
      const after = await seen();
      await one.labelIds([{ kind: 'model', name: 'm' }]);
      await one.setFact('admin_url', 'http://x');
      await one.mirrorConfigKeys([], 5);
      await one.usage.openBoot('boot');
      await expect(other.insertKey(newKey('a'))).rejects.toThrow(NameTaken);
      expect(await seen()).toEqual(after);
      await one.updateKey(key.id, { hint: 'new1' });
      expect(await other.changeCounter()).not.toBe(after[1]);
      const told = await seen();
      await one.setFact('keys_changed_at', '2026-01-01');
      expect(await seen()).toEqual([told[0], told[1]! + 1]);
    });

    it('stay as they are while own ones are being committed', async () => {
      const [one, other] = [await open(), await open()];
      const before = await one.changeCounter();
      const writes = Array.from({ length: 20 }, (_, at) => one.insertKey(newKey(`k${at}`)));
      const looks = Array.from({ length: 20 }, () => one.changeCounter());
      expect(new Set(await Promise.all(looks))).toEqual(new Set([before]));
      await Promise.all(writes);
      expect(await one.changeCounter()).toBe(before);
      expect(await other.listKeys()).toHaveLength(20);
    });
  });

  it('reads no whole number that a number cannot hold', async () => {
    const store = await open();
    await store.insertKey(newKey('a'));
    await statements(place, 'update virtual_key set created_at = 9007199254740993');
    await expect(store.listKeys()).rejects.toThrow(/9007199254740993, which is too large/);
    await statements(place, 'update virtual_key set created_at = 9007199254740991');
    expect((await store.listKeys())[0]?.createdAt).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('sums more than a single number may hold', async () => {
    const store = await open();
    const insert = `insert into usage_rollup_hour (minute, key_id, model_id, provider_id, route, status_class, requests,
      input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, errors, aborted, estimated,
      duration_us, gateway_us, cost_microusd)`;
    const row = (key: number) =>
      `(60, ${key}, 2, 3, 1, 0, 10, 1, 1, 1, 1, 1, 1, 1, 1, 9000000000000000000, 1, 5)`;
    await statements(place, `${insert} values ${row(1)}, ${row(2)}`);
    const range = { fromMinute: 0, toMinute: 120, groupBy: [], filter: {}, limit: 9, offset: 0 } as const;
    const [sum] = await store.usage.queryRollups(range);
    expect(sum).toMatchObject({ sums: { requests: 20, duration_us: 18e18 }, cost: 10_000_000n });
  });

  describe('a server of its own: an outage', { timeout: 60_000 }, () => {
    let folder: string;
    let port: number;

    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'sluice-outage-'));
      chmodSync(folder, 0o755);
      port = await freePort();
      startServer(folder, port);
      place = { ...place, port, database: 'postgres' };
    });

    afterEach(() => removeServer(folder));

    it('or a password: says that it is wrong, or missing', async () => {
      await statements(place, "alter role sluice password 'right'");
      writeFileSync(join(folder, 'server/data/pg_hba.conf'), 'host all all all scram-sha-256\n');
      stopServer(folder, 'fast');
      startAgain(folder, port);
      const tried = (password: string | null) => migratePostgres({ ...place, password }, undefined, []);
      await expect(tried('hunter2hunter2')).rejects.toThrow(/has refused the user "sluice": wrong password$/);
      await expect(tried(null)).rejects.toThrow(/asks for a password of the user "sluice"/);
      await expect(tried('right')).resolves.toBeUndefined();
    });

    it('check 135: is told, loses nothing that was committed, and ends without a restart', async () => {
      const store = await open();
      const { id } = await store.usage.openBoot('boot');
      await store.insertKey(newKey('before'));
      const segment = {
        firstMs: T0,
        lastMs: T0,
        count: 1,
        records: records([OK]),
      };
      await store.usage.writeSegments(id, [{ ...segment, sequence: 1 }]);

      stopServer(folder, 'fast');
      const unavailable = {
        name: 'StoreUnavailable',
        message: expect.stringContaining(`127.0.0.1:${port}`) as string,
      };
      await expect(store.insertKey(newKey('during'))).rejects.toMatchObject(unavailable);
      await expect(store.listKeys()).rejects.toMatchObject(unavailable);
      await expect(store.usage.writeSegments(id, [{ ...segment, sequence: 2 }])).rejects.toMatchObject(
        unavailable,
      );
      await expect(store.changeCounter()).rejects.toMatchObject(unavailable);

      startAgain(folder, port);
      await store.usage.writeSegments(
        id,
        [1, 2].map((sequence) => ({ ...segment, sequence })),
      );
      await store.insertKey(newKey('after'));
      expect((await store.listKeys()).map(({ name }) => name)).toEqual(['before', 'after']);
      const kept = await store.usage.querySegments({ fromMs: 0, toMs: 2 ** 50, limit: 9 });
      expect(kept.map(({ sequence }) => sequence)).toEqual([2, 1]);
    });

    it('at the start is waited out for a moment', async () => {
      stopServer(folder);
      const opening = migratePostgres(place, undefined, [200, 2_000, 2_000]);
      startAgain(folder, port);
      await opening;
      expect(await statements(place, 'select version from sluice_store')).toHaveLength(1);
    });
  });
});

/** A server that takes connections and never says a word. */
async function silentServer(): Promise<{ port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
  const port = await freePort();
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
