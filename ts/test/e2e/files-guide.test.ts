/** The commands of the guide to files and audio, as they stand there. */

import { execFile, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { Gateway, KEY } from './support/gateway.js';
import { emptyDirectory, isBuilt } from './support/program.js';
import { sendJson, Upstream } from './support/upstream.js';

const GUIDE = readFileSync(new URL('../../../docs/guide/files-and-audio.md', import.meta.url), 'utf8');
const COMMANDS = [...GUIDE.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) =>
  block
    .split('\n\n')
    .map((command) => command.trim())
    .filter((command) => command !== ''),
);

const hasCurl = spawnSync('curl', ['--version']).status === 0;
const execute = promisify(execFile);

describe.skipIf(!isBuilt || !hasCurl)('the commands of the guide', () => {
  const directory = emptyDirectory();
  let upstream: Upstream;
  let gateway: Gateway;

  beforeAll(async () => {
    for (const name of ['speech.wav', 'photo.png', 'requests.jsonl'])
      writeFileSync(join(directory, name), 'x');
    upstream = await Upstream.start((_, response) => sendJson(response, { id: 'answer' }));
    gateway = await Gateway.start({
      config: {
        providers: { openai: { base_url: upstream.url, key: 'sk-provider-0123456789abcdef' } },
        models: { '*': 'openai' },
      },
    });
  });

  it('are there', () => {
    expect(COMMANDS.length).toBeGreaterThanOrEqual(11);
  });

  it.each(COMMANDS)('%s', async (command) => {
    const asked = upstream.requests.length;
    const here = command.replace('http://127.0.0.1:8080', gateway.origin);
    const printing = here.replace('curl ', "curl -s -w ' %{http_code}' ");
    const env = { ...process.env, SLUICE_KEY: KEY };
    const { stdout } = await execute('sh', ['-c', printing], { cwd: directory, env });
    expect(stdout).toBe('{"id":"answer"} 200');
    expect(upstream.requests).toHaveLength(asked + 1);
    const otherwise = / -[dF] /.test(command) ? 'POST' : 'GET';
    expect(upstream.last.method).toBe(command.includes('-X DELETE') ? 'DELETE' : otherwise);
  });
});
