import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AuditEntry, chained, ChainWalk, draftOf, GENESIS } from '../../src/governance/audit.js';
import { ownerActor } from '../../src/governance/access.js';
import { type Harness, harness, NOW } from './harness.js';

let h: Harness;

beforeAll(async () => {
  h = await harness();
});

beforeEach(() => h.reset());

afterAll(() => h.close());

interface Entry {
  sequence: number;
  actor: { kind: string; name: string };
  address: string;
  request_id: string;
  action: string;
  object: string;
  object_id: string;
  before: unknown;
  after: unknown;
  outcome: string;
  hash: string;
}

async function log(query = ''): Promise<Entry[]> {
  return (await h.call('GET', `/admin/v1/audit${query}`)).json<{ entries: Entry[] }>().entries;
}

describe('check 72: every change is in the log', () => {
  it('with actor, address, request, object, before and after', async () => {
    const made = (await h.call('POST', '/admin/v1/tokens', { name: 'ci', role: 'viewer' })).json() as {
      token: { id: number };
    };
    await h.call('PATCH', `/admin/v1/tokens/${made.token.id}`, { name: 'cd' });
    const [changed, created] = await log();
    expect(created).toMatchObject({
      sequence: 1,
      actor: { kind: 'bootstrap', name: 'admin token' },
      address: '127.0.0.1',
      action: 'createToken',
      object: 'token',
      object_id: String(made.token.id),
      before: null,
      after: { name: 'ci', role: 'viewer' },
      outcome: 'done',
    });
    expect(created?.request_id).toMatch(/^[0-9a-f-]{36}$/);
    expect(changed).toMatchObject({ action: 'changeToken', before: { name: 'ci' }, after: { name: 'cd' } });
  });

  it('whether or not its handler says so', async () => {
    await h.call('POST', '/admin/v1/config/reload');
    expect(await log()).toMatchObject([{ action: 'reloadConfig', object: 'config', outcome: 'done' }]);
  });

  it('and what was refused or failed, but not what was only wrong, read or tried', async () => {
    const { secret } = (await h.call('POST', '/admin/v1/tokens', { name: 'v', role: 'viewer' })).json() as {
      secret: string;
    };
    const authorization = `Bearer ${secret}`;
    await h.call('POST', '/admin/v1/keys', { name: 'k' }, { authorization });
    await h.call('POST', '/admin/v1/keys', { nonsense: true });
    await h.call('POST', '/admin/v1/config/validate', { document: 'x' });
    await h.call('PUT', '/admin/v1/roles/r?dry_run=true', { permissions: [] });
    await h.call('GET', '/admin/v1/keys');
    h.config.refusal = new Error('broken');
    await h.call('POST', '/admin/v1/config/reload');
    expect((await log()).map(({ action, outcome }) => [action, outcome])).toEqual([
      ['reloadConfig', 'failed'],
      ['createKey', 'refused'],
      ['createToken', 'done'],
    ]);
  });

  it('or the request fails', async () => {
    const audit = h.store.audit as { append: unknown };
    audit.append = () => Promise.reject(new Error('disk full'));
    const answer = await h.call('POST', '/admin/v1/config/reload');
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({ error: { code: 'store_unavailable' } });
  });
});

describe('the log', () => {
  beforeEach(async () => {
    for (let n = 1; n <= 5; n += 1)
      await h.call('POST', '/admin/v1/tokens', { name: `t${n}`, role: 'viewer' });
    await h.call('PUT', '/admin/v1/roles/r', { permissions: [] });
  });

  it('is read by page and filter', async () => {
    const first = (await h.call('GET', '/admin/v1/audit?limit=4')).json() as { next_after: number };
    expect(first.next_after).toBe(3);
    expect(await log('?limit=4&after=3')).toHaveLength(2);
    expect(await log('?object=role')).toHaveLength(1);
    expect(await log('?action=createToken&outcome=done')).toHaveLength(5);
    expect(await log('?object=token&object_id=2')).toHaveLength(1);
    expect(await log('?actor=nobody')).toEqual([]);
    const later = new Date(NOW + 1).toISOString();
    expect(await log(`?from=${later}`)).toEqual([]);
    expect(await log(`?to=${later}`)).toHaveLength(6);
  });

  it('is exported, oldest first', async () => {
    const answer = await h.call('GET', '/admin/v1/audit/export');
    expect(answer.headers['content-type']).toContain('application/x-ndjson');
    const lines = answer.body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Entry);
    expect(lines.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('is verified from its first entry', async () => {
    const [newest] = await log('?limit=1');
    const answer = await h.call('GET', '/admin/v1/audit/verify');
    expect(answer.json()).toEqual({ ok: true, entries: 6, head: newest?.hash, broken: null });
  });
});

describe('the chain', () => {
  function chain(): AuditEntry[] {
    const context = { at: NOW, actor: ownerActor('cli', 'me', 'me'), address: null, requestId: null };
    const entries: AuditEntry[] = [];
    for (let id = 1; id <= 5; id += 1) {
      const act = {
        action: 'createKey',
        object: 'key',
        objectId: id,
        before: null,
        after: { id },
        outcome: 'done' as const,
      };
      entries.push(chained(draftOf(context, act), entries.at(-1) ?? null));
    }
    return entries;
  }

  /** The entry with another state, hashed anew. */
  function again(
    { sequence: _s, previousHash: _p, hash: _h, ...draft }: AuditEntry,
    last: AuditEntry,
  ): AuditEntry {
    return chained({ ...draft, after: '{}' }, last);
  }

  it('begins with zeros and holds', () => {
    expect(chain()[0]?.previousHash).toBe(GENESIS);
    expect(new ChainWalk().walk(chain())).toBeNull();
  });

  it.each<[string, (entries: AuditEntry[]) => unknown, number]>([
    ['a changed state', (all) => Object.assign(all[2]!, { after: '{"id":9}' }), 3],
    ['a changed actor', (all) => Object.assign(all[0]!, { actorName: 'another' }), 1],
    ['a changed time', (all) => Object.assign(all[4]!, { at: NOW + 1 }), 5],
    ['an entry taken out', (all) => all.splice(1, 1), 3],
    ['the beginning cut off', (all) => all.splice(0, 1), 2],
    ['an entry put in', (all) => all.splice(2, 0, all[1]!), 2],
    ['two exchanged', (all) => all.splice(1, 2, all[2]!, all[1]!), 3],
    ['a state and its hash changed', (all) => all.splice(1, 1, again(all[1]!, all[0]!)), 3],
  ])('shows %s', (_, tamper, at) => {
    const entries = chain();
    tamper(entries);
    expect(new ChainWalk().walk(entries)?.sequence).toBe(at);
  });

  it('masks what must not be in it', () => {
    const context = { at: NOW, actor: ownerActor('cli', 'me', 'me'), address: null, requestId: null };
    const after = { name: 'a', secret: 'canary', nested: [{ password: 'canary' }] };
    const act = { action: 'a', object: 'o', objectId: 1, before: null, after, outcome: 'done' as const };
    expect(draftOf(context, act).after).toBe('{"name":"a","nested":[{"password":"***"}],"secret":"***"}');
    const long = draftOf(context, { ...act, after: { text: 'x'.repeat(40_000) } }).after;
    expect(long).toMatch(/^\{"characters":40011,"sha256":"[0-9a-f]{64}"\}$/);
  });
});
