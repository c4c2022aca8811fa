/** Check 82: starting needs no network, asks for none, and serves without one. */

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { addressesOf, KEY } from './support/gateway.js';
import { emptyDirectory, isBuilt, launch, PROGRAM } from './support/program.js';

/** Tells of every name and address that is asked for, in the process it is loaded into. */
const TELLER = pathToFileURL(join(import.meta.dirname, 'scripts', 'tell-connections.mjs')).href;

/** A namespace with nothing but a loopback interface, which begins switched off. Needs the right to make one. */
const ALONE = ['--net', '--', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
const canBeAlone = spawnSync('unshare', [...ALONE, 'true']).status === 0;
if (!canBeAlone) console.log('skipped: no right to make a network namespace (unshare --net)');

const PORTS = ['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0'];
const START = [process.execPath, '--import', TELLER, PROGRAM, 'start', ...PORTS];

/** Everything a start could want to fetch: catalogue, prices, models, credentials in the environment, a provider far away. */
const CONFIG = {
  providers: { openai: { key: 'env:OPENAI_API_KEY' }, anthropic: { key: 'env:ANTHROPIC_API_KEY' }, demo: {} },
  models: { far: 'openai/gpt-4o', near: 'demo' },
  keys: [{ name: 'tests', secret: 'env:SLUICE_TEST_KEY' }],
  timeouts: { drain_lag: '0s' },
};
const env = { OPENAI_API_KEY: 'sk-far-away', ANTHROPIC_API_KEY: 'sk-ant-far-away', SLUICE_TEST_KEY: KEY };

/** Asks the gateway from within its namespace, since nobody else reaches it. */
const ASK = `
  const [url, key] = process.argv.slice(1);
  const messages = [{ role: 'user', content: 'hello' }];
  const ask = async (model) => {
    const body = JSON.stringify({ model, messages });
    const headers = { authorization: 'Bearer ' + key, 'content-type': 'application/json' };
    return (await fetch(url + '/chat/completions', { method: 'POST', headers, body })).status;
  };
  console.log(JSON.stringify([await ask('near'), await ask('far')]));
`;

function inDirectory(): string {
  const directory = emptyDirectory();
  writeFileSync(join(directory, 'sluice.yaml'), JSON.stringify(CONFIG));
  return directory;
}

describe.skipIf(!isBuilt)('check 82: a start', () => {
  it('asks for no name and no address', { timeout: 60_000 }, async () => {
    const [command = '', ...args] = START;
    const running = launch(command, args, { directory: inDirectory(), env });
    await addressesOf(running);
    running.child.kill('SIGTERM');
    expect(await running.ended).toEqual({ code: 0, signal: null });
    expect(running.err()).toContain('telling of connections');
    expect(running.err().match(/^asked for .*/gm) ?? []).toEqual([]);
  });

  it.skipIf(!canBeAlone)(
    'without a network serves what is on this machine',
    { timeout: 90_000 },
    async () => {
      const running = launch('unshare', [...ALONE, ...START], { directory: inDirectory(), env });
      const served = () => expect(running.out(), running.err()).toContain('Ctrl-C stops');
      await vi.waitFor(served, { timeout: 45_000 });
      const [url] = await addressesOf(running);
      const within = ['--target', String(running.child.pid), '--net', '--'];
      const asked = launch(
        'nsenter',
        [...within, process.execPath, '--input-type=module', '-e', ASK, url, KEY],
        {
          directory: emptyDirectory(),
        },
      );
      expect(await asked.ended, asked.err()).toEqual({ code: 0, signal: null });
      expect(JSON.parse(asked.out())).toEqual([200, 502]);
      running.child.kill('SIGTERM');
      expect(await running.ended, running.err()).toEqual({ code: 0, signal: null });
      expect(running.err().match(/^asked for .*/gm) ?? []).toEqual([]);
    },
  );
});
