import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Harness, harness, NOW, PROBLEM, TOKEN } from './harness.js';

let h: Harness;

beforeAll(async () => {
  h = await harness();
});

beforeEach(() => h.reset());

afterAll(() => h.close());

const CANARY = 'sk-canary-provider-0123456789abcdef-LAST';
const PATH = '/admin/v1/provider-keys';
const BODY = { provider: 'openai', name: 'second', secret: CANARY };

describe('a stored provider key', () => {
  it('check 69: is answered with its last four characters, and never more', async () => {
    const made = await h.call('POST', PATH, BODY);
    expect(made.statusCode, made.body).toBe(201);
    expect(made.json()).toEqual({
      id: 1,
      provider: 'openai',
      name: 'second',
      weight: 1,
      hint: 'LAST',
      in_use: true,
      created_at: new Date(NOW).toISOString(),
      rotated_at: null,
    });
    const bodies = [made, await h.call('GET', PATH), await h.call('GET', `${PATH}/1`)].map(
      ({ body }) => body,
    );
    expect(bodies.join()).not.toContain(CANARY);
    expect(h.config.applied).toBe(1);
    expect(
      await h.secrets.openAll({ dataDir: h.dataDir, secrets: { masterKey: null, previous: [] } }),
    ).toMatchObject([{ secret: CANARY }]);
  });

  it('changes its weight and its secret, as it was seen, and goes', async () => {
    const made = await h.call('POST', PATH, BODY);
    const etag = String(made.headers['etag']);
    const changed = await h.call('PATCH', `${PATH}/1`, { weight: 5 }, { 'if-match': etag });
    expect(changed.json()).toMatchObject({ weight: 5, hint: 'LAST' });
    expect((await h.call('PATCH', `${PATH}/1`, { weight: 6 }, { 'if-match': etag })).statusCode).toBe(412);
    const rotated = await h.call('POST', `${PATH}/1/rotate`, { secret: 'sk-another-provider-key-NEXT' });
    expect(rotated.json()).toMatchObject({
      weight: 5,
      hint: 'NEXT',
      rotated_at: new Date(NOW).toISOString(),
    });
    expect((await h.call('DELETE', `${PATH}/1`)).statusCode).toBe(200);
    expect((await h.call('GET', `${PATH}/1`)).statusCode).toBe(404);
    const { entries } = (await h.call('GET', '/admin/v1/audit')).json<{ entries: { action: string }[] }>();
    expect(entries.map(({ action }) => action)).toEqual([
      'deleteProviderKey',
      'rotateProviderKey',
      'changeProviderKey',
      'createProviderKey',
    ]);
  });

  it('is taken back when the data plane refuses it, and the log says so', async () => {
    h.config.refusal = [PROBLEM];
    expect((await h.call('POST', PATH, BODY)).json()).toMatchObject({ error: { code: 'config_refused' } });
    expect((await h.call('GET', PATH)).json()).toEqual({ provider_keys: [], next_after: null });
    const { entries } = (await h.call('GET', '/admin/v1/audit')).json<{ entries: { outcome: string }[] }>();
    expect(entries.map(({ outcome }) => outcome)).toEqual(['failed', 'done']);
  });

  it.each([
    [{ ...BODY, provider: 'opnai' }, 'body.provider'],
    [{ ...BODY, secret: 'with space' }, 'body.secret'],
    [{ ...BODY, secret: '' }, 'body.secret'],
    [{ ...BODY, name: '../x' }, 'body.name'],
    [{ ...BODY, hint: 'x' }, 'body.hint'],
  ])('is not made from %j', async (body, path) => {
    const answer = await h.call('POST', PATH, body);
    expect(answer.json()).toMatchObject({ error: { code: 'invalid_request', path } });
    expect(answer.body).not.toContain(CANARY);
  });

  it('has a name of its own', async () => {
    await h.call('POST', PATH, BODY);
    const answer = await h.call('POST', PATH, BODY);
    expect(answer.json()).toMatchObject({ error: { code: 'provider_key_name_taken' } });
  });

  it('is sealed anew with a fresh master key', async () => {
    await h.call('POST', PATH, BODY);
    const before = (await h.call('GET', '/admin/v1/secrets')).json<{ master_key: string }>();
    expect(before).toMatchObject({ origin: 'file', sealed: 1, outdated: 0 });
    const rotated = (await h.call('POST', '/admin/v1/secrets/rotate')).json<{
      master_key: string;
      sealed: number;
    }>();
    expect(rotated.sealed).toBe(1);
    expect(rotated.master_key).not.toBe(before.master_key);
    expect((await h.call('GET', '/admin/v1/secrets')).json()).toMatchObject({
      master_key: rotated.master_key,
    });
  });
});

describe('check 51: canary secrets', () => {
  it('are in no log line, audit entry, metric, error or byte of the database', async () => {
    const outputs: string[] = [];
    const call: typeof h.call = async (...args) => {
      const answer = await h.call(...args);
      outputs.push(answer.body);
      return answer;
    };
    const secrets: string[] = [CANARY, TOKEN];
    const once = { 'idempotency-key': 'canary' };
    const first = await h.call('POST', '/admin/v1/tokens', { name: 'a', role: 'admin' }, once);
    const again = await h.call(
      'POST',
      '/admin/v1/tokens/1/rotate',
      { overlap_seconds: 60 },
      { 'idempotency-key': 'b' },
    );
    const key = await h.call('POST', '/admin/v1/keys', { name: 'k' }, { 'idempotency-key': 'c' });
    for (const answer of [first, again, key]) secrets.push(answer.json<{ secret: string }>().secret);
    await call('POST', PATH, BODY, { 'idempotency-key': 'd' });
    await call('POST', PATH, BODY, { 'idempotency-key': 'd' });
    await call('POST', PATH, { ...BODY, name: 'x', secret: `${CANARY} ` });
    await call('POST', `${PATH}/1/rotate`, { secret: CANARY });
    await call('POST', '/admin/v1/secrets/rotate');
    h.config.refusal = new Error('the data plane is gone');
    await call('POST', PATH, { ...BODY, name: 'y' });
    for (const path of [
      '/admin/v1/audit',
      '/admin/v1/audit/export',
      '/admin/v1/tokens',
      '/admin/v1/keys',
      PATH,
      '/metrics',
    ])
      await call('GET', path);
    for (const secret of secrets) {
      await call('GET', '/admin/v1/health', undefined, { authorization: `Bearer x${secret}` });
      await call('GET', `/admin/v1/nothing?key=${secret}`);
    }
    await h.store.close();
    const files = readdirSync(h.dataDir).filter((name) => name.startsWith('sluice.db'));
    const dump = files.map((name) => readFileSync(join(h.dataDir, name)).toString('latin1')).join('');
    expect(dump.length).toBeGreaterThan(10_000);
    for (const secret of secrets) {
      expect(dump.includes(secret), 'the database').toBe(false);
      expect(h.log.join('').includes(secret), 'the log').toBe(false);
      expect(outputs.join('').includes(secret), 'an answer').toBe(false);
    }
    await h.reset();
  });
});
