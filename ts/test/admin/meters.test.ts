import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readBudget, readRateLimit } from '../../src/governance/meter-text.js';
import type { MeterRule } from '../../src/governance/meter-rule.js';
import type { MeterView } from '../../src/governance/ports.js';
import { type Harness, harness, NOW } from './harness.js';

let h: Harness;

beforeAll(async () => {
  h = await harness();
});

beforeEach(async () => {
  await h.reset();
  h.config.declaredMeters = METERS;
  h.levels = [
    { id: 1, used: '12500000000001', reserved: '1', refused: 3, ...WINDOW },
    { id: 2, used: '2500', reserved: '1000', refused: 0, ...WINDOW },
    { id: 3, used: '9', reserved: '0', refused: 7, ...WINDOW },
    { id: 4, used: '4', reserved: '4', refused: 0 },
  ];
});

afterAll(() => h.close());

const WINDOW = { window_start_ms: NOW - 1_000, window_end_ms: NOW + 1_000 };

function rule({ rule: read }: ReturnType<typeof readBudget>): MeterRule {
  if (read === null) throw new Error('not a rule');
  return read;
}

const METERS: MeterView[] = [
  // Not sorted: the answer is.
  {
    id: 3,
    owner: { kind: 'team', name: 'ads', keyId: null },
    rule: rule(readRateLimit({ requests: 9, window: 'day' })),
  },
  {
    id: 1,
    owner: { kind: 'team', name: 'search', keyId: null },
    rule: rule(readBudget({ usd: 49.9, window: 'month' })),
  },
  {
    id: 2,
    owner: { kind: 'model', name: 'smart', keyId: null },
    rule: rule(readRateLimit({ tokens: 10, window: 'hour' })),
  },
  {
    id: 4,
    owner: { kind: 'key', name: 'ci', keyId: 77 },
    rule: rule(readRateLimit({ concurrency: 5 })),
  },
  // The data plane does not have it yet.
  {
    id: 5,
    owner: { kind: 'tag', name: 'batch', keyId: null },
    rule: rule(readRateLimit({ concurrency: 5 })),
  },
];

interface Listed {
  readonly meters: readonly { readonly id: number }[];
  readonly next_after: number | null;
}

async function listed(query = '', token?: string): Promise<Listed> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await h.call('GET', `/admin/v1/meters${query}`, undefined, headers);
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json();
}

async function idsOf(query?: string, token?: string): Promise<number[]> {
  return (await listed(query, token)).meters.map(({ id }) => id);
}

async function tokenOf(role: string, more: object = {}): Promise<string> {
  const answer = await h.call('POST', '/admin/v1/tokens', { name: role, role, ...more });
  expect(answer.statusCode, answer.body).toBe(201);
  return answer.json<{ secret: string }>().secret;
}

describe('/meters', () => {
  it('tells exactly how each stands', async () => {
    const { meters } = await listed();
    expect(meters).toEqual([
      {
        id: 1,
        kind: 'budget',
        name: 'usd/month',
        owner: { kind: 'team', name: 'search', key_id: null },
        measure: 'usd',
        window: 'month',
        mode: 'normal',
        limit: '49.9',
        used: '12.5',
        reserved: '0.000000000001',
        remaining: '37.399999999999',
        exhausted: false,
        refused: 3,
        window_start: '2026-03-01T11:59:59.000Z',
        resets_at: '2026-03-01T12:00:01.000Z',
      },
      expect.objectContaining({ id: 2, limit: '10', used: '1.5', reserved: '1', remaining: '7.5' }),
      expect.objectContaining({ id: 3, limit: '9', used: '9', remaining: '0', exhausted: true, refused: 7 }),
      expect.objectContaining({ id: 4, window: null, used: '0', reserved: '4', window_start: null }),
    ]);
  });

  it.each([
    ['?kind=budget', [1]],
    ['?owner_kind=team', [1, 3]],
    ['?owner_kind=team&owner=ads', [3]],
    ['?owner=nobody', []],
    ['?key_id=77', [4]],
    ['?exhausted=true', [3]],
    ['?exhausted=false', [1, 2, 4]],
    ['?after=2', [3, 4]],
  ])('%s narrows it', async (query, ids) => {
    expect(await idsOf(query)).toEqual(ids);
  });

  it('comes by pages', async () => {
    const first = await listed('?limit=3');
    expect(first.meters.map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(await listed(`?limit=3&after=${first.next_after}`)).toMatchObject({ next_after: null });
  });

  it('shows a team administrator what belongs to its teams', async () => {
    await h.call('POST', '/admin/v1/teams', { name: 'search' });
    await h.call('POST', '/admin/v1/teams', { name: 'ads' });
    const token = await tokenOf('team_admin', { scope: { teams: ['search'] } });
    expect(await idsOf('', token)).toEqual([1]);
  });

  it('shows whose owners may be read, and nothing to who may not read usage', async () => {
    await h.call('PUT', '/admin/v1/roles/models', { permissions: ['usage:read', 'models:read'] });
    expect(await idsOf('', await tokenOf('models'))).toEqual([2]);
    await h.call('PUT', '/admin/v1/roles/teams', { permissions: ['teams:read'] });
    const headers = { authorization: `Bearer ${await tokenOf('teams')}` };
    expect((await h.call('GET', '/admin/v1/meters', undefined, headers)).statusCode).toBe(403);
  });
});
