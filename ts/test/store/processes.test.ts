import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStore } from '../../src/store/index.js';
import { compileSources } from './compiled.js';

const KEYS = 60;
let code: string;
let dir: string;

beforeAll(() => {
  code = compileSources();
  dir = mkdtempSync(join(tmpdir(), 'sluice-processes-'));
});

afterAll(() => {
  rmSync(code, { recursive: true, force: true });
  rmSync(dir, { recursive: true, force: true });
});

/** Opens the store (migrating it, if it comes first) and inserts keys of its own. */
function writer(name: string) {
  const script = `
    import { openStore } from ${JSON.stringify(pathToFileURL(join(code, 'store/index.js')).href)};
    const store = await openStore(${JSON.stringify(dir)});
    for (let at = 0; at < ${KEYS}; at += 1) {
      const digests = [{ sha256: 'a'.repeat(64), expiresAt: null }];
      await store.insertKey({ name: ${JSON.stringify(name)} + at, digests, models: [], limits: {}, createdAt: at, hint: '' });
    }
    await store.close();`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
}

it('several processes may create the database and write it at once', { timeout: 60_000 }, async () => {
  const exits = ['a', 'b', 'c'].map(async (name) => (await once(writer(name), 'exit'))[0] as number);
  expect(await Promise.all(exits)).toEqual([0, 0, 0]);
  const store = await openStore(dir);
  const keys = await store.listKeys();
  expect(keys).toHaveLength(3 * KEYS);
  expect(new Set(keys.map((key) => key.id)).size).toBe(3 * KEYS);
  await store.close();
});
