import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Harness, harness, NOW, PROBLEM, sha256 } from './harness.js';
import { OPEN_SCOPE } from '../../src/governance/entity.js';

let h: Harness;

beforeAll(async () => {
  h = await harness();
});

beforeEach(() => h.reset());

afterAll(() => h.close());

interface KeyBody {
  id: number;
  name: string;
  hint: string;
  [field: string]: unknown;
}

const KEYS = '/admin/v1/keys';

async function create(body: object): Promise<{ key: KeyBody; secret: string }> {
  const answer = await h.call('POST', KEYS, body);
  expect(answer.statusCode, answer.body).toBe(201);
  return answer.json();
}

describe('creating', () => {
  it('answers the secret once, and stores its digest only', async () => {
    const { key, secret } = await create({
      name: 'team',
      models: ['gpt-*'],
      limits: { requests_per_minute: 60, concurrency: null },
      expires_at: '2026-04-01T00:00:00+02:00',
    });
    expect(secret).toMatch(/^sk-slc-[\w-]{43}$/);
    expect(key).toEqual({
      id: key.id,
      name: 'team',
      source: 'api',
      state: 'active',
      models: ['gpt-*'],
      limits: { requests_per_minute: 60, tokens_per_minute: null, concurrency: null },
      owner: null,
      tags: [],
      providers: null,
      routes: null,
      networks: [],
      budgets: [],
      rate_limits: [],
      metadata: {},
      hint: secret.slice(-4),
      created_at: new Date(NOW).toISOString(),
      expires_at: '2026-03-31T22:00:00.000Z',
      previous_secret_expires_at: null,
      revoked_at: null,
    });
    const stored = await h.store.findKey(key.id);
    expect(stored?.digests).toEqual([
      { sha256: sha256(secret), expiresAt: Date.parse('2026-03-31T22:00:00Z') },
    ]);
    expect(h.config.applied).toBe(1);
    for (const path of [KEYS, `${KEYS}/${key.id}`]) {
      const { body } = await h.call('GET', path);
      expect(body).not.toContain(secret.slice(0, -4));
      expect(body).not.toContain(sha256(secret));
    }
    expect(h.log.join('')).toContain('key_created');
    expect(h.log.join('')).not.toContain(secret);
  });

  it('allows every model unless told otherwise', async () => {
    expect((await create({ name: 'a' })).key['models']).toEqual(['*']);
    expect((await create({ name: 'b', models: [] })).key['models']).toEqual([]);
  });

  const bad: [string, object, string, RegExp?][] = [
    ['no name', {}, 'body.name', /required/],
    ['an unknown field', { name: 'a', admin: true }, 'body.admin', /unknown field/],
    ['an unknown limit', { name: 'a', limits: { rpm: 5 } }, 'body.limits.rpm', /unknown field/],
    ['text for a number', { name: 'a', limits: { concurrency: '5' } }, 'body.limits.concurrency'],
    ['a limit of zero', { name: 'a', limits: { concurrency: 0 } }, 'body.limits.concurrency'],
    ['a number for the name', { name: 5 }, 'body.name'],
    ['an empty name', { name: '' }, 'body.name'],
    ['a name with space around it', { name: ' a' }, 'body.name'],
    ['a pattern with two stars', { name: 'a', models: ['*x*'] }, 'body.models[0]'],
    ['a time in words', { name: 'a', expires_at: 'tomorrow' }, 'body.expires_at', /date-time/],
    ['a time without a zone', { name: 'a', expires_at: '2027-01-01T00:00:00' }, 'body.expires_at'],
    ['the 30th of February', { name: 'a', expires_at: '2027-02-30T99:00:00Z' }, 'body.expires_at'],
    ['a time in the past', { name: 'a', expires_at: '2020-01-01T00:00:00Z' }, 'body.expires_at', /future/],
    ['a list', [{ name: 'a' }], 'body'],
    ['its own id', { name: 'a', id: 5 }, 'body.id', /unknown field/],
    ['its own source', { name: 'a', source: 'config' }, 'body.source', /unknown field/],
  ];

  it.each(bad)('refuses %s, and says where', async (_, body, path, message = /./) => {
    const answer = await h.call('POST', KEYS, body);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ error: { code: 'invalid_request', path } });
    expect(answer.json<{ error: { message: string } }>().error.message).toMatch(message);
    expect(await h.store.listKeys()).toEqual([]);
    expect(h.config.applied).toBe(0);
  });

  it('refuses a name that a live key has', async () => {
    await create({ name: 'a' });
    const answer = await h.call('POST', KEYS, { name: 'a' });
    expect(answer.statusCode).toBe(409);
    expect(answer.json()).toMatchObject({ error: { code: 'key_name_taken', path: 'body.name' } });
  });
});

describe('a change the data plane refuses', () => {
  const refused = (answer: { statusCode: number; json: () => unknown }) => {
    expect(answer.statusCode).toBe(422);
    expect(answer.json()).toMatchObject({ error: { code: 'config_refused' } });
  };

  it('is taken back, whatever it was', async () => {
    const { key } = await create({ name: 'a', limits: { concurrency: 3 } });
    const before = await h.store.listKeys();
    h.config.refusal = [PROBLEM];
    refused(await h.call('POST', KEYS, { name: 'b' }));
    refused(await h.call('PATCH', `${KEYS}/${key.id}`, { name: 'c', limits: { concurrency: 9 } }));
    refused(await h.call('POST', `${KEYS}/${key.id}/rotate`, { overlap_seconds: 60 }));
    refused(await h.call('DELETE', `${KEYS}/${key.id}`));
    expect(await h.store.listKeys()).toEqual(before);
    const answer = await h.call('POST', KEYS, { name: 'b' });
    expect(answer.json<{ error: { message: string } }>().error.message).toContain(PROBLEM.message);
  });

  it('is taken back when applying it fails altogether', async () => {
    h.config.refusal = new Error('data plane is gone: sk-secret-thing');
    const answer = await h.call('POST', KEYS, { name: 'b' });
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ error: { code: 'internal_error' } });
    expect(answer.body).not.toContain('gone');
    expect(await h.store.listKeys()).toEqual([]);
  });
});

describe('changing', () => {
  it('leaves alone what is absent and lifts limits that are null', async () => {
    const { key } = await create({
      name: 'a',
      models: ['m'],
      limits: { concurrency: 3, tokens_per_minute: 5 },
    });
    const answer = await h.call('PATCH', `${KEYS}/${key.id}`, {
      limits: { concurrency: null, requests_per_minute: 7 },
    });
    expect(answer.json()).toMatchObject({
      name: 'a',
      models: ['m'],
      limits: { concurrency: null, tokens_per_minute: 5, requests_per_minute: 7 },
      hint: key.hint,
    });
    expect(
      (await h.call('PATCH', `${KEYS}/${key.id}`, { expires_at: '2027-01-01T00:00:00Z' })).json(),
    ).toMatchObject({
      expires_at: '2027-01-01T00:00:00.000Z',
    });
    expect((await h.call('PATCH', `${KEYS}/${key.id}`, { expires_at: null })).json()).toMatchObject({
      expires_at: null,
    });
    expect(h.config.applied).toBe(4);
  });

  it.each([
    [{}, 400],
    [{ secret: 'sk-mine' }, 400],
    [{ revoked_at: null }, 400],
    [{ hint: 'abcd' }, 400],
  ])('refuses %j', async (body, status) => {
    const { key } = await create({ name: 'a' });
    expect((await h.call('PATCH', `${KEYS}/${key.id}`, body)).statusCode).toBe(status);
  });
});

describe('rotating', () => {
  it('keeps the old secret for the overlap, and answers the new one once', async () => {
    const { key, secret } = await create({ name: 'a' });
    const answer = await h.call('POST', `${KEYS}/${key.id}/rotate`, { overlap_seconds: 3_600 });
    const rotated = answer.json<{ key: KeyBody; secret: string }>();
    expect(rotated.secret).not.toBe(secret);
    expect(rotated.key).toMatchObject({
      id: key.id,
      hint: rotated.secret.slice(-4),
      previous_secret_expires_at: new Date(NOW + 3_600_000).toISOString(),
    });
    expect((await h.store.findKey(key.id))?.digests).toEqual([
      { sha256: sha256(rotated.secret), expiresAt: null },
      { sha256: sha256(secret), expiresAt: NOW + 3_600_000 },
    ]);
  });

  it('ends the old secret at once without an overlap', async () => {
    const { key } = await create({ name: 'a' });
    const answer = await h.call('POST', `${KEYS}/${key.id}/rotate`, {});
    expect(answer.json()).toMatchObject({ key: { previous_secret_expires_at: null } });
    expect((await h.store.findKey(key.id))?.digests).toHaveLength(1);
  });

  it.each([-1, 0.5, 90 * 86_400 + 1, '60'])('refuses an overlap of %j', async (overlap_seconds) => {
    const { key } = await create({ name: 'a' });
    const answer = await h.call('POST', `${KEYS}/${key.id}/rotate`, { overlap_seconds });
    expect(answer.json()).toMatchObject({ error: { code: 'invalid_request', path: 'body.overlap_seconds' } });
  });
});

describe('revoking', () => {
  it('is for good, keeps the key listed, and may be repeated', async () => {
    const { key } = await create({ name: 'a' });
    const first = await h.call('DELETE', `${KEYS}/${key.id}`);
    expect(first.json()).toMatchObject({ state: 'revoked', revoked_at: new Date(NOW).toISOString() });
    h.now += 60_000;
    expect((await h.call('DELETE', `${KEYS}/${key.id}`)).json()).toEqual(first.json());
    for (const [method, path] of [
      ['PATCH', ''],
      ['POST', '/rotate'],
    ] as const) {
      const answer = await h.call(
        method,
        `${KEYS}/${key.id}${path}`,
        method === 'PATCH' ? { name: 'b' } : {},
      );
      expect(answer.json()).toMatchObject({ error: { code: 'key_revoked' } });
    }
    expect((await create({ name: 'a' })).key.id).not.toBe(key.id);
  });
});

describe('keys of the configuration file', () => {
  it('are listed and read-only', async () => {
    const [id] = (await h.store.labelIds([{ kind: 'key', name: 'config:a' }])) as [number];
    const digests = [{ sha256: 'a'.repeat(64), expiresAt: null }];
    const row = { id, name: 'filed', digests, models: ['*'], limits: {}, hint: '', createdAt: NOW } as const;
    await h.store.mirrorConfigKeys([{ ...row, ...OPEN_SCOPE, source: 'config', revokedAt: null }], NOW);
    expect((await h.call('GET', `${KEYS}/${id}`)).json()).toMatchObject({ source: 'config', name: 'filed' });
    for (const [method, path, body] of [
      ['PATCH', '', { name: 'mine' }],
      ['DELETE', '', undefined],
      ['POST', '/rotate', {}],
    ] as const) {
      const answer = await h.call(method, `${KEYS}/${id}${path}`, body);
      expect(answer.statusCode).toBe(409);
      expect(answer.json()).toMatchObject({ error: { code: 'key_owned_by_config' } });
    }
    expect((await h.call('POST', KEYS, { name: 'filed' })).json()).toMatchObject({
      error: { code: 'key_name_taken' },
    });
  });
});

describe('listing', () => {
  it('pages by id and filters', async () => {
    const made: number[] = [];
    for (let at = 0; at < 7; at += 1) made.push((await create({ name: `k${at}` })).key.id);
    await h.call('DELETE', `${KEYS}/${made[2]}`);
    const seen: number[] = [];
    let after: number | null = 0;
    for (let pages = 0; after !== null; pages += 1) {
      expect(pages).toBeLessThan(4);
      const answer = await h.call('GET', `${KEYS}?limit=3&after=${after}`);
      const page: { keys: KeyBody[]; next_after: number | null } = answer.json();
      seen.push(...page.keys.map((key) => key.id));
      after = page.next_after;
    }
    expect(seen).toEqual(made);
    const ids = async (query: string) =>
      (await h.call('GET', `${KEYS}?${query}`)).json<{ keys: KeyBody[] }>().keys.map((key) => key.id);
    expect(await ids('state=revoked')).toEqual([made[2]]);
    expect(await ids('source=config')).toEqual([]);
  });

  it.each(['limit=0', 'limit=501', 'limit=x', 'after=-1', 'state=all', 'unknown=1', 'limit=1&limit=2'])(
    'refuses ?%s',
    async (query) => {
      const answer = await h.call('GET', `${KEYS}?${query}`);
      expect(answer.statusCode).toBe(400);
      expect(answer.json<{ error: { path: string } }>().error.path).toMatch(/^querystring\./);
    },
  );

  it.each([
    ['999', 404, 'key_not_found'],
    ['0', 400, 'invalid_request'],
    ['x', 400, 'invalid_request'],
    ['4294967296', 400, 'invalid_request'],
    ['1.5', 400, 'invalid_request'],
  ])('a key with id %s is answered %i', async (id, status, code) => {
    for (const method of ['GET', 'DELETE'] as const) {
      const answer = await h.call(method, `${KEYS}/${id}`);
      expect(answer.statusCode).toBe(status);
      expect(answer.json()).toMatchObject({ error: { code } });
    }
  });
});

describe('changes at the same time', () => {
  it('are made and applied one after the other', async () => {
    const { key } = await create({ name: 'a' });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, at) => h.call('PATCH', `${KEYS}/${key.id}`, { name: `n${at}` })),
    );
    expect(answers.map((answer) => answer.statusCode)).toEqual(Array(10).fill(200));
    expect(h.config.applied).toBe(11);
    expect(h.config.mostAtOnce).toBe(1);
    expect(answers.map((answer) => answer.json<KeyBody>().name)).toContain(
      (await h.store.findKey(key.id))?.name,
    );
  });
});

it('a store that fails is a 503 without its message', async () => {
  h.store.listKeys = () =>
    Promise.reject(Object.assign(new Error('disk I/O error'), { name: 'SqliteError' }));
  const answer = await h.call('GET', KEYS);
  expect(answer.statusCode).toBe(503);
  expect(answer.json()).toMatchObject({ error: { code: 'store_unavailable' } });
  expect(answer.body).not.toContain('disk');
  expect(h.log.join('')).toContain('disk I/O error');
});
