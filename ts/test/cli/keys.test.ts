import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { registerKeys as register } from '../../src/cli/keys.js';
import { StoredKeys } from '../../src/cli/keys-store.js';
import { digestOf } from '../../src/governance/key-secret.js';
import { ADMIN_URL_FACT, KEYS_CHANGED_FACT, KEYS_SERVED_FACT } from '../../src/governance/ports.js';
import { openStore } from '../../src/store/index.js';
import { runCommand, type Outcome } from './output.js';
import { OPEN_SCOPE } from '../../src/governance/entity.js';

/** vitest's matchers are typed `any`. */
const containing = (text: string): unknown => expect.stringContaining(text);
const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);

let directory = '';
let configFile = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-keys-'));
  configFile = join(directory, 'sluice.yaml');
  // Port 9 (discard) answers nowhere; a provider key that is missing here must not matter.
  writeFileSync(
    configFile,
    'data_dir: data\nlisteners: { admin: { address: "127.0.0.1:9" } }\nproviders: { groq: }\n',
  );
  vi.stubEnv('SLUICE_ADMIN_TOKEN', undefined);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true });
});

function keys(...args: string[]): Promise<Outcome> {
  return runCommand(register, ['keys', ...args, '--config', configFile]);
}

async function stored() {
  const store = await openStore(join(directory, 'data'));
  try {
    return await store.listKeys();
  } finally {
    await store.close();
  }
}

describe('sluice keys, on the database', () => {
  it('creates a key and keeps only its digest', async () => {
    const limits = ['--rpm', '60', '--tpm', '1000', '--concurrency', '2'];
    const { code, out, err } = await keys(
      'create',
      '--name',
      'app',
      '--models',
      'gpt-*, o3',
      ...limits,
      '--expires',
      '2999-01-01',
    );
    expect(code).toBe(0);
    expect(out).toMatch(/^sk-slc-[\w-]{43}$/);
    expect(err).toBe('the secret of "app" (id 1), shown this once');
    expect(await stored()).toMatchObject([
      {
        name: 'app',
        digests: [{ sha256: digestOf(out), expiresAt: Date.UTC(2999, 0, 1) }],
        models: ['gpt-*', 'o3'],
        limits: { requestsPerMinute: 60, tokensPerMinute: 1_000, concurrency: 2 },
        hint: out.slice(-4),
      },
    ]);
  });

  it('prints nothing but the secret where asked', async () => {
    expect(await keys('create', '--name', 'a', '--secret-only')).toMatchObject({ err: '' });
    const { out } = await keys('create', '--name', 'b', '--json');
    expect(JSON.parse(out)).toMatchObject({
      key: { name: 'b', state: 'active' },
      secret: matching(/^sk-slc-/),
    });
  });

  it('lists active keys, and all of them where asked', async () => {
    await keys('create', '--name', 'first', '--rpm', '5');
    await keys('create', '--name', 'second');
    await keys('revoke', 'first');
    const active = (await keys('list')).out.split('\n');
    expect(active[0]).toMatch(/^ID\s+NAME\s+SECRET\s+STATE\s+SOURCE\s+MODELS\s+LIMITS\s+EXPIRES$/);
    expect(active.slice(1)).toEqual([matching(/^2 {3}second {2}….{4} {3}active {2}api {5}\*$/)]);
    expect((await keys('list', '--all')).out).toMatch(/first .*revoked .*5 rpm/);
    expect(JSON.parse((await keys('list', '--json')).out)).toMatchObject([{ id: 2, name: 'second' }]);
  });

  it('rotates by name or id, with an overlap', async () => {
    const before = (await keys('create', '--name', 'app', '--secret-only')).out;
    const after = (await keys('rotate', 'app', '--overlap', '24h', '--secret-only')).out;
    expect(after).not.toBe(before);
    const [row] = await stored();
    expect(row?.digests.map(({ sha256 }) => sha256)).toEqual([digestOf(after), digestOf(before)]);
    expect(Math.abs((row?.digests[1]?.expiresAt ?? 0) - Date.now() - 86_400_000)).toBeLessThan(60_000);
    const last = (await keys('rotate', '1', '--secret-only')).out;
    expect((await stored())[0]?.digests.map(({ sha256 }) => sha256)).toEqual([digestOf(last)]);
  });

  it.each<[string, string[], number, string]>([
    ['a key that is not there', ['revoke', 'nobody'], 1, 'there is no key "nobody"'],
    ['a name that is taken', ['create', '--name', 'taken'], 1, 'a key named "taken" exists already'],
    ['a wrong pattern', ['create', '--name', 'x', '--models', 'a*b*'], 1, 'models[0]: must be a name'],
    [
      'a past expiry',
      ['create', '--name', 'x', '--expires', '2001-01-01'],
      1,
      'expiresAt: must lie in the future',
    ],
    ['a missing name', ['create'], 2, '--name'],
    ['a limit of 0', ['create', '--name', 'x', '--rpm', '0'], 2, 'Expected a whole number'],
    ['a strange span', ['rotate', 'taken', '--overlap', 'soon'], 2, 'Expected a span'],
    ['a strange expiry', ['create', '--name', 'x', '--expires', 'soon'], 2, 'Expected a span'],
    ['an unknown command', ['delete', 'taken'], 2, 'unknown command'],
    [
      'an admin URL without a token',
      ['list', '--admin-url', 'http://127.0.0.1:9'],
      2,
      '--admin-url needs --token',
    ],
    [
      'something that is no URL',
      ['list', '--admin-url', 'ftp://x', '--token', 't'],
      2,
      '--admin-url must begin',
    ],
    [
      'a gateway that is not there',
      ['list', '--admin-url', 'http://127.0.0.1:9', '--token', 't'],
      1,
      'cannot reach',
    ],
  ])('refuses %s', async (_title, args, code, message) => {
    await keys('create', '--name', 'taken');
    const outcome = await keys(...args);
    expect(outcome.code).toBe(code);
    expect(outcome.err).toContain(message);
  });

  it('leaves keys of the file alone', async () => {
    const store = await openStore(join(directory, 'data'));
    const [id = 0] = await store.labelIds([{ kind: 'key', name: 'config:file' }]);
    const row = { id, name: 'file', digests: [], models: [], limits: {}, hint: '', createdAt: 0 };
    await store.mirrorConfigKeys([{ ...row, ...OPEN_SCOPE, revokedAt: null, source: 'config' }], 0);
    await store.close();
    for (const args of [
      ['revoke', 'file'],
      ['rotate', 'file'],
    ]) {
      expect(await keys(...args)).toMatchObject({ code: 1, err: containing('change it there') });
    }
  });

  it('says that a configuration cannot be read', async () => {
    writeFileSync(configFile, 'a: b: c');
    expect(await keys('list')).toMatchObject({
      code: 1,
      err: containing('sluice.yaml:1:4: error'),
    });
  });
});

/** An admin API that answers what it is told, and remembers what it was asked. */
class FakeAdmin {
  readonly asked: string[] = [];
  status = 200;
  answer: unknown = {};
  private readonly server: Server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { method, url, headers } = request;
      if (url !== '/healthz') this.asked.push([method, url, headers.authorization, body].join(' ').trimEnd());
      response
        .writeHead(this.status, { 'content-type': 'application/json' })
        .end(JSON.stringify(this.answer));
    });
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

describe('sluice keys, through a running gateway', () => {
  let admin: FakeAdmin;
  let address = '';
  const view = {
    id: 5,
    name: 'app',
    state: 'active',
    source: 'api',
    models: ['*'],
    limits: {},
    hint: 'abcd',
    expires_at: null,
  };

  beforeEach(async () => {
    admin = new FakeAdmin();
    address = await admin.listen();
    writeFileSync(configFile, `data_dir: data\nlisteners: { admin: { address: "${address}" } }\n`);
    vi.stubEnv('SLUICE_ADMIN_TOKEN', 'token-of-the-test-0123');
  });

  afterEach(() => admin.close());

  it('creates with what was asked, and touches no database', async () => {
    admin.answer = { key: view, secret: 'sk-slc-answer' };
    const { out } = await keys(
      'create',
      '--name',
      'app',
      '--models',
      'a,b',
      '--rpm',
      '5',
      '--expires',
      '2999-01-01',
    );
    expect(out).toBe('sk-slc-answer');
    expect(admin.asked).toEqual([
      'POST /admin/v1/keys Bearer token-of-the-test-0123 ' +
        '{"name":"app","limits":{"requests_per_minute":5},"models":["a","b"],"expires_at":"2999-01-01T00:00:00.000Z"}',
    ]);
    expect(() => rmSync(join(directory, 'data'), { recursive: true })).toThrow('ENOENT');
  });

  it('finds by name, then rotates and revokes by id', async () => {
    admin.answer = { keys: [view], next_after: null, key: view, secret: 'new', ...view };
    await keys('rotate', 'app', '--overlap', '1h');
    await keys('revoke', '5', '--token', 'given');
    expect(admin.asked).toEqual([
      'GET /admin/v1/keys?limit=500&after=0 Bearer token-of-the-test-0123',
      'POST /admin/v1/keys/5/rotate Bearer token-of-the-test-0123 {"overlap_seconds":3600}',
      'GET /admin/v1/keys?limit=500&after=0 Bearer given',
      'DELETE /admin/v1/keys/5 Bearer given',
    ]);
  });

  it('reaches another gateway by its URL', async () => {
    admin.answer = { keys: [view], next_after: null };
    const { out } = await keys('list', '--admin-url', `http://${address}/admin/v1/`);
    expect(out).toContain('app');
  });

  it.each([
    [401, {}, 'refused the admin token'],
    [
      409,
      { error: { code: 'key_name_taken', message: 'a key named "app" exists already' } },
      'exists already',
    ],
    [500, 'no JSON object', 'answered 500'],
  ])('passes on a refusal with status %i', async (status, answer, message) => {
    Object.assign(admin, { status, answer });
    const outcome = await keys('list', '--admin-url', `http://${address}`);
    expect(outcome).toMatchObject({ code: 1, err: containing(message) });
    expect(outcome.err).not.toContain('token-of-the-test');
  });

  it('uses the database where no token is known, and returns when the change is served', async () => {
    vi.stubEnv('SLUICE_ADMIN_TOKEN', undefined);
    const gateway = await openStore(join(directory, 'data'));
    let isServed = false;
    const command = keys('create', '--name', 'direct').finally(() => expect(isServed).toBe(true));
    const changedAt = await vi.waitFor(async () => {
      const fact = await gateway.fact(KEYS_CHANGED_FACT);
      if (fact === null) throw new Error('not changed yet');
      return fact;
    });
    expect(await gateway.listKeys()).toMatchObject([{ name: 'direct' }]);
    isServed = true;
    await gateway.setFact(KEYS_SERVED_FACT, changedAt);
    expect(await command).toMatchObject({ code: 0, err: matching(/^the secret of "direct"/) });
    await gateway.close();
    expect(admin.asked).toEqual([]);
  });

  it('finds a gateway that was started on another address by the database', async () => {
    vi.stubEnv('SLUICE_ADMIN_TOKEN', undefined);
    writeFileSync(configFile, 'data_dir: data\nlisteners: { admin: { address: "127.0.0.1:9" } }\n');
    const gateway = await openStore(join(directory, 'data'));
    await gateway.setFact(ADMIN_URL_FACT, `http://${address}`);
    await gateway.setFact(KEYS_SERVED_FACT, '2999-01-01T00:00:00.000Z'); // of a later change
    expect(await keys('create', '--name', 'direct')).toMatchObject({ code: 0 });
    expect(await gateway.fact(KEYS_CHANGED_FACT)).toMatch(/^20\d\d-/);
    await gateway.close();
  });

  it('waits for no gateway when nothing was changed, and for none for ever', async () => {
    vi.stubEnv('SLUICE_ADMIN_TOKEN', undefined);
    const store = await openStore(join(directory, 'data'));
    const patience = 50;
    const access = new StoredKeys(store, 'here', Date.now, patience);
    expect(await access.isServed()).toBe(true);
    await access.create({ name: 'alone' });
    expect(await access.isServed()).toBe(false);
    await store.setFact(KEYS_SERVED_FACT, '2001-01-01T00:00:00.000Z'); // of an earlier change
    expect(await access.isServed()).toBe(false);
    await access.close();
  });
});
