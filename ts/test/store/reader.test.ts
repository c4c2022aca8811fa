import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { openStore } from '../../src/store/index.js';
import type { ReaderProcess as Process } from '../../src/store/reader.js';
import { openDatabase, type SqliteConnection } from '../../src/store/sqlite.js';
import { OK, records, T0 } from '../usage/records.js';
import { compileSources } from './compiled.js';

/** Counts to a number the slow way. */
const COUNT =
  'with recursive n(i) as (select 1 union all select i + 1 from n where i < ?) select count(*) as c from n';

let code: string;
let ReaderProcess: typeof Process;
let dir: string;
let path: string;
let connection: SqliteConnection;
let open: Process[];

beforeAll(async () => {
  code = compileSources();
  const module = (await import(pathToFileURL(join(code, 'store/reader.js')).href)) as {
    ReaderProcess: typeof Process;
  };
  ReaderProcess = module.ReaderProcess;
});

afterAll(() => rmSync(code, { recursive: true, force: true }));

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-reader-'));
  ({ connection, path } = openDatabase(dir));
  open = [];
});

afterEach(() => {
  for (const reader of open) reader.close();
  connection.raw.close();
  rmSync(dir, { recursive: true, force: true });
});

function reader(timeoutMs?: number): Process {
  const process = new ReaderProcess(path, timeoutMs);
  open.push(process);
  return process;
}

describe('the reading process', () => {
  it('answers queries with values, nulls and bytes, and sees what was written in between', async () => {
    const process = reader();
    connection.exec('create table t (a integer, b text, c blob, d integer)');
    const insert = connection.prepare('insert into t values (?, ?, ?, ?)');
    insert.run([2 ** 52, 'x', Buffer.from([1, 2, 3]), null]);
    const [row] = await process.all('select * from t where a = ?', [2 ** 52]);
    expect({ ...row, c: [...new Uint8Array(row?.['c'] as never)] }).toEqual({
      a: 2 ** 52,
      b: 'x',
      c: [1, 2, 3],
      d: null,
    });
    insert.run([1, 'y', Buffer.alloc(0), 5]);
    expect(await process.all('select count(*) as n from t', [])).toEqual([{ n: 2 }]);
  });

  it('leaves the event loop free meanwhile', async () => {
    const process = reader();
    await process.all('select 1', []);
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 5);
    await process.all(COUNT, [2_000_000]);
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(5);
  });

  it('cannot write', async () => {
    connection.exec('create table t (a integer)');
    await expect(reader().all('insert into t values (1)', [])).rejects.toMatchObject({ name: 'SqliteError' });
    expect(connection.all('select * from t', [])).toEqual([]);
  });

  it('reports an error and goes on', async () => {
    const process = reader();
    await expect(process.all('select nonsense', [])).rejects.toThrow(/no such column/);
    expect(await process.all('select 1 as one', [])).toEqual([{ one: 1 }]);
  });

  it('answers in order, and refuses more than a bounded number', async () => {
    const process = reader();
    const answers = Array.from({ length: 40 }, (_, at) => process.all('select ? as n', [at]));
    const settled = await Promise.allSettled(answers);
    const kept = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value[0]?.['n']] : []));
    expect(kept).toEqual(Array.from({ length: 32 }, (_, at) => at));
    expect(await process.all('select 1 as one', [])).toEqual([{ one: 1 }]);
  });

  it(
    'gives up a query that takes too long, and serves again once it has ended',
    { timeout: 120_000 },
    async () => {
      const process = reader(2_000);
      await expect(process.all(COUNT, [20_000_000])).rejects.toThrow(/took too long/);
      expect(await process.all('select 1 as one', [])).toEqual([{ one: 1 }]);
    },
  );

  it('refuses what waits when the process dies, and starts another', async () => {
    const process = reader();
    await process.all('select 1', []);
    const refused = expect(process.all(COUNT, [20_000_000])).rejects.toThrow(/has ended/);
    const { child } = process as unknown as { child: { kill(signal: string): void } };
    child.kill('SIGKILL');
    await refused;
    expect(await process.all('select 1 as one', [])).toEqual([{ one: 1 }]);
  });

  it('refuses what waits when it is closed', async () => {
    const process = reader();
    const waiting = process.all(COUNT, [500_000]);
    const refused = expect(waiting).rejects.toThrow(/closed/);
    process.close();
    await refused;
  });
});

it('reports and lists of a compiled store come from the process', async () => {
  const compiled = (await import(pathToFileURL(join(code, 'store/index.js')).href)) as {
    openStore: typeof openStore;
  };
  const store = await compiled.openStore(mkdtempSync(join(dir, 'compiled-')));
  const boot = await store.usage.openBoot('boot');
  const bytes = records([OK, { ...OK, request_id: 2, cost_picousd: -1 }]);
  await store.usage.writeSegments(boot.id, [
    {
      sequence: 1,
      firstMs: T0,
      lastMs: T0,
      count: 2,
      records: bytes,
    },
  ]);
  const [segment] = await store.usage.querySegments({ fromMs: 0, toMs: 2 ** 50, limit: 1 });
  expect(Buffer.from(segment!.records).equals(bytes)).toBe(true);
  await store.close();
});
