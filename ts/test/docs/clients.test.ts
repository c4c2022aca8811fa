/** The examples of the guide for clients are run as they stand, against a gateway. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startDemoProvider, type DemoProvider } from '../../src/bridge/index.js';
import { ROOT } from '../../../scripts/lib/tree.mjs';
import { Gateway, KEY } from '../e2e/support/gateway.js';
import { isBuilt, runToEnd } from '../e2e/support/program.js';

const guide = readFileSync(new URL('../../../docs/guide/clients.md', import.meta.url), 'utf8');
const examples = [...guide.matchAll(/^## (.+)\n|```js\n([\s\S]*?)```/gm)].reduce<[string, string][]>(
  (found, [, heading, code]) => {
    const last = found.at(-1)?.[0] ?? '';
    if (heading !== undefined) return [...found, [heading, '']];
    return [...found, [last, code ?? '']];
  },
  [],
);
const runnable = examples.filter(([, code]) => code !== '');

/** Where they are put: packages are found from within the tree only. */
const FOLDER = join(ROOT, 'target', 'guide');

let demo: DemoProvider;
let gateway: Gateway;

beforeAll(async () => {
  if (!isBuilt) return;
  mkdirSync(FOLDER, { recursive: true });
  demo = startDemoProvider({ chunks: 4 });
  gateway = await Gateway.start({
    config: {
      providers: { demo: { base_url: `http://${demo.address}/v1`, auth: 'none' } },
      models: { fast: 'demo' },
    },
  });
});
afterAll(() => demo?.stop());

it('has an example for every SDK', () => {
  expect(runnable.length).toBeGreaterThanOrEqual(8);
});

it.skipIf(!isBuilt).each(runnable.map(([name, code], index) => [name, index, code] as const))(
  '%s (example %i)',
  async (_, index, code) => {
    const file = join(FOLDER, `${index}.mjs`);
    writeFileSync(file, code.replaceAll('http://127.0.0.1:8080', gateway.origin));
    const env = { SLUICE_KEY: KEY, AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' };
    const { code: exit, out, err } = await runToEnd([file], { directory: FOLDER, env });
    expect(exit, err).toBe(0);
    expect(out).toContain('Hello'); // the demo provider repeats what it is told
  },
);
