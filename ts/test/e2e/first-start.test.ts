/** The program in the hands of someone who has just got it: what it prints works, and what is wrong is explained. */

import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { addressesOf, KEY } from './support/gateway.js';
import { ask } from './support/http.js';
import { emptyDirectory, isBuilt, launch, PROGRAM, runToEnd, type Running } from './support/program.js';
import { chatHandler, Upstream } from './support/upstream.js';
import { eventually } from './support/wait.js';

/** Ports that the system chooses, for tests run beside others; a stranger has 8080 and 8081. */
const PORTS = ['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0'];

function start(directory: string, env: Record<string, string> = {}): Running {
  return launch(process.execPath, [PROGRAM, 'start', ...PORTS], { directory, env });
}

/** The lines below "Try it:", as they would be pasted. */
function pasted(out: string): string {
  return /Try it:\n([\s\S]*?)\n\n/.exec(out)?.[1] ?? '';
}

async function paste(directory: string, out: string): Promise<Record<string, unknown>> {
  const shell = launch('bash', ['-c', `${pasted(out)} --silent --show-error --fail`], { directory });
  expect(await shell.ended, shell.err()).toEqual({ code: 0, signal: null });
  return JSON.parse(shell.out()) as Record<string, unknown>;
}

async function stop(running: Running, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  running.child.kill(signal);
  expect(await running.ended).toEqual({ code: 0, signal: null });
}

describe.skipIf(!isBuilt)('the first start', () => {
  let directory = '';
  let out = '';
  let token = '';
  let key = '';

  beforeAll(() => {
    directory = emptyDirectory();
  });

  it('says where it listens, shows both secrets, and a request that works as pasted', async () => {
    const first = start(directory);
    const [url, adminUrl] = await addressesOf(first);
    out = first.out();
    token = /Token +(sluice-admin-[\w-]{43}) /.exec(out)?.[1] ?? '';
    key = /Key +(sk-slc-[\w-]{43}) /.exec(out)?.[1] ?? '';
    expect([token, key], out).not.toContain('');
    expect(out).toContain(`curl ${url}/chat/completions`);
    expect(await paste(directory, out)).toMatchObject({ object: 'chat.completion', model: 'demo' });

    const admin = await fetch(`${adminUrl}/admin/v1/health`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await admin.json()).toMatchObject({ status: 'ok' });
    expect((await fetch(`${adminUrl}/admin/v1/health`)).status).toBe(401);
    await stop(first);
    expect(first.err()).toMatch(/stopped\n$/);
  });

  it('leaves a database that only its owner can read, and nothing else', () => {
    expect(readdirSync(directory)).toEqual(['sluice-data']);
    const data = join(directory, 'sluice-data');
    const files = readdirSync(data, { recursive: true, encoding: 'utf8' });
    for (const file of files) expect(statSync(join(data, file)).mode & 0o077, file).toBe(0);
    const stored = files
      .filter((file) => statSync(join(data, file)).isFile())
      .map((file) => readFileSync(join(data, file), 'latin1'));
    expect(stored.join('')).not.toContain(key);
    expect(stored.join('')).not.toContain(token);
  });

  it('is not repeated: both secrets go on working, are shown no more, and the request still works', async () => {
    const second = start(directory);
    const [url, adminUrl] = await addressesOf(second);
    expect(second.out()).not.toMatch(/sluice-admin-|sk-slc-/);
    expect(await paste(directory, second.out())).toMatchObject({ object: 'chat.completion' });
    const body = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'again' }] });
    expect((await ask(`${url}/chat/completions`, { body, key })).status).toBe(200);
    const requestsByKey = async (): Promise<Record<string, number>> => {
      const headers = { authorization: `Bearer ${token}` };
      const report = await fetch(`${adminUrl}/admin/v1/usage?group_by=key`, { headers });
      const { rows } = (await report.json()) as { rows: { key: { name: string }; requests: number }[] };
      return Object.fromEntries(rows.map((row) => [row.key.name.replace(/^try-\d+$/, 'try'), row.requests]));
    };
    // One of the first start and one of this one; one with the key that was made on the way.
    await expect.poll(requestsByKey).toEqual({ default: 2, try: 1 });
    await stop(second);
  });

  it('makes a new key for another database', async () => {
    const elsewhere = emptyDirectory();
    const other = start(elsewhere);
    await addressesOf(other);
    const another = /Key +(sk-slc-[\w-]{43}) /.exec(other.out())?.[1] ?? '';
    expect(another).not.toBe('');
    expect(another).not.toBe(key);
    await stop(other, 'SIGINT');
  });
});

describe.skipIf(!isBuilt)('a provider from the environment', () => {
  const PROVIDER_KEY = 'sk-from-the-environment-0123456789';

  it('is used, with the address of a configuration', async () => {
    const upstream = await Upstream.start(chatHandler());
    const directory = emptyDirectory();
    writeFileSync(join(directory, 'sluice.yaml'), `providers: { openai: { base_url: "${upstream.url}" } }\n`);
    const running = start(directory, { OPENAI_API_KEY: PROVIDER_KEY });
    await addressesOf(running);
    expect(running.out()).toMatch(/openai .*key from OPENAI_API_KEY/);
    expect(running.out()).toContain('"model":"gpt-4o-mini"');
    expect(await paste(directory, running.out())).toMatchObject({ object: 'chat.completion' });
    expect(upstream.last.headers['authorization']).toBe(`Bearer ${PROVIDER_KEY}`);
    expect(running.out() + running.err()).not.toContain(PROVIDER_KEY);
    await stop(running);
  });

  it('is named in what would be served, and replaces the demo provider', async () => {
    const directory = emptyDirectory();
    const without = await runToEnd([PROGRAM, 'check'], { directory });
    expect(without.out).toMatch(/demo .*built in/);
    const env = { OPENAI_API_KEY: PROVIDER_KEY, GROQ_API_KEY: PROVIDER_KEY };
    const checked = await runToEnd([PROGRAM, 'check'], { directory, env });
    expect(checked.code).toBe(0);
    expect(checked.out).toMatch(/openai +https:\/\/api\.openai\.com\/v1, key from OPENAI_API_KEY/);
    expect(checked.out).toMatch(/groq +https:\/\/api\.groq\.com\/openai\/v1, key from GROQ_API_KEY/);
    expect(checked.out).not.toMatch(/built in/);
    expect(checked.out).not.toContain(PROVIDER_KEY);
  });
});

describe.skipIf(!isBuilt)('a broken configuration', () => {
  const BROKEN = ['providers:', '  demo: {}', 'models:', '  fast: grok/fast-1', 'limts: {}', ''].join('\n');

  it.each([['check'], ['start', ...PORTS]])(
    'ends %s with 1 and every problem in its place',
    async (...args) => {
      const directory = emptyDirectory();
      writeFileSync(join(directory, 'sluice.yaml'), BROKEN);
      const { code, err, out } = await runToEnd([PROGRAM, ...args], { directory });
      expect(code).toBe(1);
      expect(err).toMatch(/sluice\.yaml:4:9: error: models\.fast: found the provider "grok", expected demo/);
      expect(err).toMatch(/sluice\.yaml:5:1: error: .*limts.*limits/);
      expect(err).toMatch(/sluice\.yaml: 2 errors, not (usable|started)/);
      expect(err).not.toMatch(/^\s+at /m);
      expect(out).toBe('');
      expect(readdirSync(directory)).toEqual(['sluice.yaml']); // not even a database
    },
  );

  it.each([
    ['no YAML', 'providers: [', 1],
    ['a tab', 'providers:\n\tdemo: {}\n', 2],
    ['a list', '- providers\n', 1],
    ['a reference to nothing', 'providers: { openai: { key: "env:NOT_THERE" } }\n', 1],
  ])('is told apart: %s', async (_, text, line) => {
    const directory = emptyDirectory();
    writeFileSync(join(directory, 'sluice.yaml'), text);
    const { code, err } = await runToEnd([PROGRAM, 'check'], { directory });
    expect(code).toBe(1);
    expect(err).toMatch(new RegExp(`sluice\\.yaml:${line}:\\d+: error: .+`));
  });

  it('that cannot be read says so', async () => {
    const directory = emptyDirectory();
    const absent = await runToEnd([PROGRAM, 'start', '--config', 'absent.yaml'], { directory });
    expect(absent.code).toBe(1);
    expect(absent.err).toContain('absent.yaml');
  });
});

describe.skipIf(!isBuilt)('beginners’ mistakes', () => {
  it('a wrong key is answered in OpenAI’s shape, without an echo', async () => {
    const directory = emptyDirectory();
    const running = start(directory);
    const [url] = await addressesOf(running);
    const body = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'hello' }] });
    const answer = await ask(`${url}/chat/completions`, { body }); // the key of other tests
    expect(answer.status).toBe(401);
    expect(answer.headers['content-type']).toBe('application/json');
    const { error } = JSON.parse(answer.body.toString()) as { error: Record<string, unknown> };
    expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code']);
    expect(error).toMatchObject({ type: 'invalid_request_error', param: null, code: 'invalid_api_key' });
    expect(answer.body.toString()).not.toContain(KEY.slice(-8));
    await stop(running);
  });

  it('a port that is taken is named', async () => {
    const directory = emptyDirectory();
    const running = start(directory);
    const [url] = await addressesOf(running);
    const address = new URL(url).host;
    const options = ['--listen', address, '--admin-listen', '127.0.0.1:0'];
    const busy = await runToEnd([PROGRAM, 'start', ...options], { directory: emptyDirectory() });
    expect(busy.code).toBe(1);
    expect(busy.err).toContain(address);
    await stop(running);
  });

  it.runIf(process.getuid?.() !== 0)('a directory that may not be written is named', async () => {
    const directory = emptyDirectory();
    chmodSync(directory, 0o500);
    const { code, err } = await runToEnd([PROGRAM, 'start', ...PORTS], { directory });
    chmodSync(directory, 0o700);
    expect(code).toBe(1);
    expect(err).toContain(join(directory, 'sluice-data'));
  });

  it('Ctrl-C in the middle of a stream lets it finish', async () => {
    const upstream = await Upstream.start(chatHandler({ words: Array(10).fill('word '), gapMs: 40 }));
    const directory = emptyDirectory();
    const config = `providers: { slow: { base_url: "${upstream.url}", auth: none } }\nsettings: { require_key: false }\n`;
    writeFileSync(join(directory, 'sluice.yaml'), config);
    const running = start(directory);
    const [url] = await addressesOf(running);
    const body = JSON.stringify({ model: 'any', stream: true, messages: [] });
    const answer = ask(`${url}/chat/completions`, { body, key: null });
    await eventually('the stream to begin', () => upstream.requests.length === 1);
    running.child.kill('SIGINT');
    const { body: text, isWhole } = await answer;
    expect(isWhole).toBe(true);
    expect(text.toString().match(/word /g)).toHaveLength(10);
    expect(text.toString()).toMatch(/data: \[DONE\]\n\n$/);
    expect(await running.ended).toEqual({ code: 0, signal: null });
    expect(running.err()).toContain('a second signal stops at once');
  });
});
