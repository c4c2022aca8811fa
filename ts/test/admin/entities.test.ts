import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { digestOf } from '../../src/governance/key-secret.js';
import type { EntityRow } from '../../src/governance/ports.js';
import { type Harness, harness, NOW, PROBLEM } from './harness.js';

const API = '/admin/v1';

let h: Harness;

beforeAll(async () => {
  h = await harness();
});
afterEach(() => h.reset());
afterAll(() => h.close());

const post = (path: string, body: unknown) => h.call('POST', `${API}/${path}`, body);
const get = (path: string) => h.call('GET', `${API}/${path}`);

async function company(): Promise<void> {
  for (const [path, body] of [
    ['customers', { name: 'acme' }],
    ['teams', { name: 'search', customer: 'acme', models: ['gpt-*'] }],
    ['users', { name: 'alice@example.com', team: 'search' }],
    ['tags', { name: 'batch' }],
  ] as const)
    expect((await post(path, body)).statusCode, path).toBe(201);
}

describe('an entity', () => {
  it('is made, read, changed and removed, and is in use at once', async () => {
    const budgets = [{ name: 'monthly', usd: '49.90', window: 'month', mode: 'strict', status: 402 }];
    const made = await post('teams', { name: 'search', budgets, metadata: { cost_center: '4711' } });
    expect(made.statusCode).toBe(201);
    expect(h.config.applied).toBe(1);
    expect(made.json()).toEqual({
      name: 'search',
      source: 'api',
      customer: null,
      models: null,
      providers: null,
      routes: null,
      budgets: [{ ...budgets[0], usd: '49.9', kind: 'calendar', time_zone: 'UTC' }],
      rate_limits: [],
      metadata: { cost_center: '4711' },
      disabled: false,
      created_at: new Date(NOW).toISOString(),
      updated_at: new Date(NOW).toISOString(),
    });
    const read = await get('teams/search');
    expect(read.json()).toEqual(made.json());
    expect(read.headers['etag']).toBe(made.headers['etag']);

    h.now += 1_000;
    const rate_limits = [{ weighted_tokens: { input: 1, output: 5, limit: 1_000 }, window: '1h' }];
    const changed = await h.call('PATCH', `${API}/teams/search`, { rate_limits, disabled: true });
    expect(changed.json()).toMatchObject({ budgets: [{ name: 'monthly' }], disabled: true });
    expect(changed.json()).toMatchObject({
      rate_limits: [
        { name: 'weighted_tokens/1h', kind: 'fixed', weighted_tokens: { output: 5, limit: 1_000 } },
      ],
    });

    expect((await h.call('DELETE', `${API}/teams/search`)).statusCode).toBe(200);
    expect((await get('teams/search')).statusCode).toBe(404);
    expect((await post('teams', { name: 'search' })).statusCode).toBe(201);
    expect(h.config.applied).toBe(4);
  });

  it('belongs to what exists, and to one thing only', async () => {
    await company();
    const refused = async (path: string, body: unknown) =>
      (await post(path, body)).json<{ error: object }>().error;
    expect(await refused('teams', { name: 'x', customer: 'acmee' })).toEqual({
      code: 'invalid_request',
      message: 'there is no customer "acmee"',
      path: 'body.customer',
    });
    expect(await refused('users', { name: 'x', customer: 'acme', team: 'search' })).toMatchObject({
      message: 'found team and customer, expected one of them',
    });
    const moved = await h.call('PATCH', `${API}/users/alice@example.com`, { customer: 'acme' });
    expect(moved.json()).toMatchObject({ customer: 'acme', team: null });
    const alone = await h.call('PATCH', `${API}/users/alice@example.com`, { customer: null });
    expect(alone.json()).toMatchObject({ customer: null, team: null });
  });

  it('cannot go while something belongs to it, which the refusal names', async () => {
    await company();
    await post('keys', { name: 'ci', owner: { user: 'alice@example.com' }, tags: ['batch'] });
    const refusal = async (path: string) =>
      (await h.call('DELETE', `${API}/${path}`)).json<{ error: object }>().error;
    expect(await refusal('customers/acme')).toMatchObject({
      code: 'entity_in_use',
      message: 'still belonging to the customer "acme": team "search"',
    });
    expect(await refusal('users/alice@example.com')).toMatchObject({
      message: 'still belonging to the user "alice@example.com": key "ci"',
    });
    expect(await refusal('tags/batch')).toMatchObject({ code: 'entity_in_use' });
  });

  it('of the file is shown and not changed', async () => {
    const row: EntityRow = {
      kind: 'team',
      name: 'filed',
      parent: null,
      models: null,
      providers: null,
      routes: null,
      rules: [],
      metadata: {},
      disabled: false,
      source: 'config',
      createdAt: NOW,
      updatedAt: NOW,
      removedAt: null,
    };
    await h.store.mirrorConfigEntities([row], NOW);
    expect((await get('teams/filed')).json()).toMatchObject({ source: 'config' });
    for (const method of ['PATCH', 'DELETE'] as const) {
      const body = method === 'PATCH' ? { disabled: true } : undefined;
      const answer = await h.call(method, `${API}/teams/filed`, body);
      expect([answer.statusCode, answer.json<{ error: { code: string } }>().error.code]).toEqual([
        409,
        'entity_owned_by_config',
      ]);
    }
    expect((await post('teams', { name: 'filed' })).statusCode).toBe(409);
  });

  it('is not kept when the data plane refuses it', async () => {
    await post('teams', { name: 'a' });
    h.config.refusal = [PROBLEM];
    expect((await post('teams', { name: 'b' })).statusCode).toBe(422);
    expect((await h.call('PATCH', `${API}/teams/a`, { disabled: true })).statusCode).toBe(422);
    expect((await h.call('DELETE', `${API}/teams/a`)).statusCode).toBe(422);
    h.config.refusal = null;
    expect((await get('teams')).json()).toMatchObject({ teams: [{ name: 'a', disabled: false }] });
  });

  it('is only checked in a dry run', async () => {
    await post('teams', { name: 'a' });
    expect((await post('teams?dry_run=true', { name: 'b' })).json()).toMatchObject({ name: 'b' });
    const changed = await h.call('PATCH', `${API}/teams/a?dry_run=true`, { disabled: true });
    expect(changed.json()).toMatchObject({ disabled: true });
    await h.call('DELETE', `${API}/teams/a?dry_run=true`);
    expect((await get('teams')).json()).toMatchObject({ teams: [{ name: 'a', disabled: false }] });
    expect((await post('teams?dry_run=true', { name: 'a' })).statusCode).toBe(409);
    expect(h.config.applied).toBe(1);
  });

  it('is changed only as it was seen, where the caller asks for that', async () => {
    const tag = String((await post('teams', { name: 'a' })).headers['etag']);
    const change = (disabled: boolean) =>
      h.call('PATCH', `${API}/teams/a`, { disabled }, { 'if-match': tag });
    expect((await change(true)).statusCode).toBe(200);
    expect((await change(false)).statusCode).toBe(412);
    const gone = await h.call('DELETE', `${API}/teams/a`, undefined, { 'if-match': tag });
    expect(gone.statusCode).toBe(412);
  });
});

describe('check 70: what is not known or not possible', () => {
  it.each<[string, unknown, string]>([
    ['teams', { name: 'a', owner: 'x' }, 'body.owner'],
    ['teams', { name: 'a', source: 'config' }, 'body.source'],
    ['teams', { name: 'a', team: 'x' }, 'body.team'],
    ['customers', { name: 'a', customer: 'x' }, 'body.customer'],
    ['tags', { name: 'two words' }, 'body.name'],
    ['teams', { name: 'a', budgets: [{ usd: 5, window: 'day' }] }, 'body.budgets.0.usd'],
    ['teams', { name: 'a', budgets: [{ usd: '0', window: 'day' }] }, 'body.budgets.0.usd'],
    ['teams', { name: 'a', budgets: [{ usd: '5', window: 'fortnight' }] }, 'body.budgets.0.window'],
    [
      'teams',
      { name: 'a', budgets: [{ usd: '5', window: 'day', time_zone: 'Mars/X' }] },
      'body.budgets.0.time_zone',
    ],
    ['teams', { name: 'a', rate_limits: [{ window: '1m' }] }, 'body.rate_limits.0'],
    ['teams', { name: 'a', rate_limits: [{ requests: 5, window: '1m', cap: 1 }] }, 'body.rate_limits.0.cap'],
    [
      'teams',
      { name: 'a', rate_limits: [{ concurrency: 1 }, { concurrency: 2 }] },
      'body.rate_limits.1.name',
    ],
    ['teams', { name: 'a', models: ['a*b*c'] }, 'body.models.0'],
    ['teams', { name: 'a', routes: ['chat'] }, 'body.routes.0'],
    ['teams', { name: 'a', metadata: { x: 1 } }, 'body.metadata.x'],
    ['keys', { name: 'a', owner: { user: 'nobody' } }, 'body.owner.user'],
    ['keys', { name: 'a', owner: { user: 'x', team: 'y' } }, 'body.owner'],
    ['keys', { name: 'a', tags: ['none'] }, 'body.tags.0'],
    ['keys', { name: 'a', networks: ['10.0.0.0/33'] }, 'body.networks.0'],
    ['keys', { name: 'a', revoked_at: null }, 'body.revoked_at'],
  ])('%s %j is refused at %s', async (path, body, place) => {
    const answer = await post(path, body);
    expect(answer.statusCode).toBe(400);
    expect(answer.json<{ error: { path: string } }>().error.path).toBe(place);
    expect(h.config.applied).toBe(0);
  });
});

describe('a list', () => {
  it('is narrowed, searched and paged: check 71', async () => {
    await company();
    for (const name of ['ops', 'Operations', '100%']) await post('teams', { name });
    const namesOf = async (query: string) => {
      const body = (await get(`teams?${query}`)).json<{ teams: { name: string }[] }>();
      return body.teams.map(({ name }) => name);
    };
    expect(await namesOf('')).toEqual(['Operations', 'ops', 'search']);
    expect(await namesOf('search=OP')).toEqual(['Operations', 'ops']);
    expect(await namesOf('search=%25')).toEqual([]);
    expect(await namesOf('customer=acme')).toEqual(['search']);
    expect(await namesOf('disabled=true')).toEqual([]);
    const first = (await get('teams?limit=2')).json<{ next_after: string }>();
    expect(first.next_after).toBe('ops');
    expect(await namesOf(`limit=2&after=${first.next_after}`)).toEqual(['search']);
    for (const query of ['limit=501', 'limit=0', `search=${'x'.repeat(129)}`, 'group=x'])
      expect((await get(`teams?${query}`)).statusCode, query).toBe(400);
  });
});

describe('a key', () => {
  it('has an owner, tags, networks and limits', async () => {
    await company();
    const scope = {
      owner: { user: 'alice@example.com' },
      tags: ['batch'],
      providers: ['openai'],
      routes: ['chat_completions'],
      networks: ['10.0.0.0/8', '::1'],
      rate_limits: [{ requests: 5, window: '1m' }],
      metadata: { note: 'x' },
    };
    const made = (await post('keys', { name: 'ci', ...scope })).json<{ key: { id: number } }>().key;
    expect(made).toMatchObject({
      ...scope,
      networks: ['10.0.0.0/8', '::1/128'],
      rate_limits: [{ name: 'requests/1m', kind: 'rate' }],
      budgets: [],
    });
    const budgets = [{ usd: '5', window: 'month' }];
    const changed = await h.call('PATCH', `${API}/keys/${made.id}`, { budgets, owner: null });
    expect(changed.json()).toMatchObject({
      owner: null,
      budgets: [{ usd: '5' }],
      rate_limits: [{ requests: 5 }],
    });
    expect((await get(`keys/${made.id}`)).json()).toEqual(changed.json());
  });

  it('is found by whom it belongs to', async () => {
    await company();
    await post('keys', { name: 'ci', owner: { user: 'alice@example.com' }, tags: ['batch'] });
    await post('keys', { name: 'other' });
    const namesOf = async (query: string) =>
      (await get(`keys?${query}`)).json<{ keys: { name: string }[] }>().keys.map(({ name }) => name);
    for (const query of ['user=alice@example.com', 'team=search', 'customer=acme', 'tag=batch', 'search=CI'])
      expect(await namesOf(query), query).toEqual(['ci']);
    expect(await namesOf('team=else')).toEqual([]);
  });

  it('is only checked in a dry run', async () => {
    const answer = await post('keys?dry_run=true', { name: 'ci' });
    expect(answer.json()).toMatchObject({ key: { id: 0, name: 'ci' }, secret: '' });
    expect(await h.store.listKeys()).toEqual([]);
  });
});

describe('check 65: an actor confined to a team', () => {
  const SECRET = 'sluice-token-of-a-team-admin';

  async function asTeamAdmin(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown) {
    const answer = await h.call(method, `${API}/${path}`, body, { authorization: `Bearer ${SECRET}` });
    return [answer.statusCode, answer.json<{ error?: { code: string } }>().error?.code];
  }

  it('sees and changes what belongs to its team, and nothing else', async () => {
    await company();
    await post('teams', { name: 'ops' });
    await post('users', { name: 'bob', team: 'ops' });
    const key = (await post('keys', { name: 'of-ops', owner: { team: 'ops' } })).json<{
      key: { id: number };
    }>();
    const token = {
      name: 'lead',
      sha256: digestOf(SECRET),
      previous: null,
      hint: '',
      role: 'team_admin',
      scope: { teams: ['search'] },
      createdAt: NOW,
      expiresAt: null,
    };
    await h.store.access.insertToken(token, () => ({
      at: NOW,
      actorKind: 'system',
      actorId: '',
      actorName: '',
      actorRole: '',
      address: null,
      requestId: null,
      action: 'x',
      object: 'token',
      objectId: '1',
      before: null,
      after: null,
      outcome: 'done',
    }));
    const userNames = async () => {
      const answer = await h.call('GET', `${API}/users`, undefined, { authorization: `Bearer ${SECRET}` });
      return answer.json<{ users: { name: string }[] }>().users.map(({ name }) => name);
    };
    expect(await userNames()).toEqual(['alice@example.com']);
    expect(await asTeamAdmin('GET', 'users/bob')).toEqual([404, 'entity_not_found']);
    expect(await asTeamAdmin('POST', 'users', { name: 'carol', team: 'search' })).toEqual([201, undefined]);
    expect(await asTeamAdmin('POST', 'users', { name: 'dan', team: 'ops' })).toEqual([
      400,
      'invalid_request',
    ]);
    expect(await asTeamAdmin('POST', 'users', { name: 'dan' })).toEqual([403, 'grant_exceeds_actor']);
    const leave = await asTeamAdmin('PATCH', 'users/alice@example.com', { team: null });
    expect(leave).toEqual([403, 'grant_exceeds_actor']);
    expect(await asTeamAdmin('GET', `keys/${key.key.id}`)).toEqual([404, 'key_not_found']);
    expect(await asTeamAdmin('POST', 'keys', { name: 'k' })).toEqual([403, 'grant_exceeds_actor']);
    expect(await asTeamAdmin('POST', 'keys', { name: 'k', owner: { team: 'ops' } })).toEqual([
      403,
      'grant_exceeds_actor',
    ]);
    expect(await asTeamAdmin('POST', 'keys', { name: 'k', owner: { team: 'search' } })).toEqual([
      201,
      undefined,
    ]);
    expect(await asTeamAdmin('POST', 'teams', { name: 'mine' })).toEqual([403, 'forbidden']);
  });
});
