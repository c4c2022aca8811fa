import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compileSources } from './compiled.js';
import { describeEach, type StorePlace } from './engines.js';

const KEYS = 60;
let code: string;

beforeAll(() => {
  code = compileSources();
});

afterAll(() => {
  rmSync(code, { recursive: true, force: true });
});

/** Opens the store (migrating it, if it comes first) and inserts keys of its own. */
function writer({ args }: StorePlace, name: string) {
  const script = `
    import { openStore } from ${JSON.stringify(pathToFileURL(join(code, 'store/index.js')).href)};
    import { OPEN_SCOPE } from ${JSON.stringify(pathToFileURL(join(code, 'governance/entity.js')).href)};
    const store = await openStore(...${JSON.stringify(args)});
    for (let at = 0; at < ${KEYS}; at += 1) {
      const digests = [{ sha256: 'a'.repeat(64), expiresAt: null }];
      const rest = { digests, models: [], limits: {}, createdAt: at, hint: '', ...OPEN_SCOPE };
      await store.insertKey({ name: ${JSON.stringify(name)} + at, ...rest });
    }
    await store.close();`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
}

describeEach((engine) => {
  it('several processes may create the database and write it at once', { timeout: 60_000 }, async () => {
    const place = await engine.place();
    const exits = ['a', 'b', 'c'].map(async (name) => (await once(writer(place, name), 'exit'))[0] as number);
    expect(await Promise.all(exits)).toEqual([0, 0, 0]);
    const store = await place.open();
    const keys = await store.listKeys();
    expect(keys).toHaveLength(3 * KEYS);
    expect(new Set(keys.map((key) => key.id)).size).toBe(3 * KEYS);
    await store.close();
    await place.remove();
  });
});
