import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { recordCount, recordWords } from '../../src/usage/record.js';
import { RollupTable } from '../../src/usage/rollup-table.js';
import { OK, type RecordFields, records } from '../usage/records.js';
import { type Harness, harness, NOW } from './harness.js';
import { OPEN_SCOPE } from '../../src/governance/entity.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const USAGE = '/admin/v1/usage';

let h: Harness;
let ids: Record<'openai' | 'other' | 'gpt' | 'claude' | 'key', number>;
let sequence = 0;

beforeAll(async () => {
  h = await harness();
});

beforeEach(async () => {
  await h.reset();
  const [openai, other, gpt, claude] = (await h.store.labelIds([
    { kind: 'provider', name: 'openai' },
    { kind: 'provider', name: 'other' },
    { kind: 'model', name: 'gpt' },
    { kind: 'model', name: 'claude' },
  ])) as [number, number, number, number];
  const digests = [{ sha256: 'a'.repeat(64), expiresAt: null }];
  const key = await h.store.insertKey({
    name: 'team',
    digests,
    ...OPEN_SCOPE,
    models: ['*'],
    limits: {},
    createdAt: NOW,
    hint: '',
  });
  ids = { openai, other, gpt, claude, key: key.id };
});

afterAll(() => h.close());

/** Stores records the way the recorder does. */
async function store(rows: readonly RecordFields[]): Promise<void> {
  sequence += 1;
  const boot = await h.store.usage.openBoot(`boot-${sequence}`);
  const bytes = records(rows);
  const table = new RollupTable();
  const span = table.add(recordWords(bytes), recordCount(bytes));
  await h.store.usage.writeSegments(boot.id, [{ sequence: 1, ...span, count: rows.length, records: bytes }]);
  await h.store.usage.addRollups(boot.id, 0, 1, table);
}

const at = (ms: number, over: RecordFields = {}): RecordFields => ({
  ...OK,
  cost_picousd: -1,
  key_id: ids.key,
  model_id: ids.gpt,
  provider_id: ids.openai,
  started_at_ms: ms,
  duration_us: 0,
  ...over,
});

interface Row {
  requests: number;
  [field: string]: unknown;
}
const report = async (query: string) =>
  (await h.call('GET', `${USAGE}?${query}`)).json<{
    rows: Row[];
    next_offset: number | null;
    from: string;
    to: string;
  }>();

describe('a report', () => {
  it('brings the store up to date and sums the last day unless told otherwise', async () => {
    await store([
      at(NOW - HOUR),
      at(NOW - 25 * HOUR),
      at(NOW - 5 * HOUR, { status: 429, error: 12, flags: 6 }),
    ]);
    const { rows, next_offset, from, to } = await report('');
    expect(h.flushes).toBe(1);
    expect([from, to]).toEqual(['2026-02-28T12:00:00.000Z', '2026-03-01T12:00:00.000Z']);
    expect(next_offset).toBeNull();
    expect(rows).toEqual([
      {
        requests: 2,
        input_tokens: 200,
        cached_input_tokens: 0,
        cache_write_tokens: 0,
        output_tokens: 40,
        reasoning_tokens: 0,
        cache_write_1h_tokens: 0,
        audio_input_tokens: 0,
        image_input_tokens: 0,
        audio_output_tokens: 0,
        image_output_tokens: 0,
        errors: 1,
        aborted: 1,
        estimated: 1,
        unpriced: 2,
        duration_us: 0,
        gateway_us: 80,
        cost_usd: null,
      },
    ]);
  });

  it('sums costs exactly, and says where there was no price', async () => {
    const beyondNumbers = 9_007_199_254_740_993n; // a double would make it even
    const claude = { model_id: ids.claude, provider_id: ids.other };
    const costing = (cost_picousd: bigint) => at(NOW - HOUR, { cost_picousd });
    await store([costing(beyondNumbers), costing(1n), costing(-1n), at(NOW - HOUR, claude)]);
    await store([costing(2n ** 63n - 1n)]);
    const { rows } = await report('group_by=model');
    expect(rows).toMatchObject([
      { model: { id: ids.gpt }, cost_usd: '9232379.236109516801', unpriced: 1 },
      { model: { id: ids.claude }, cost_usd: null, unpriced: 1 },
    ]);
  });

  it('is empty, not an error, where nothing was used', async () => {
    expect((await report('')).rows).toEqual([]);
    expect((await report('group_by=key&model=never-configured')).rows).toEqual([]);
  });

  it('groups by every dimension, with names', async () => {
    const refused = { key_id: 0, model_id: 0, provider_id: 0, status: 401, error: 9, route: 7 };
    await store([
      at(NOW - HOUR),
      at(NOW - HOUR, { model_id: ids.claude, provider_id: ids.other, status: 499 }),
      at(NOW - HOUR, refused),
    ]);
    const { rows } = await report('group_by=key,model,provider,route,status');
    const named = rows.map(({ key, model, provider, route, status }) => ({
      key,
      model,
      provider,
      route,
      status,
    }));
    expect(named).toHaveLength(3);
    expect(named).toContainEqual({
      key: { id: ids.key, name: 'team' },
      model: { id: ids.gpt, name: 'gpt' },
      provider: { id: ids.openai, name: 'openai' },
      route: 'chat_completions',
      status: '2xx',
    });
    expect(named).toContainEqual(
      expect.objectContaining({ model: { id: ids.claude, name: 'claude' }, status: 'client_gone' }),
    );
    const nobody = { id: 0, name: null };
    expect(named).toContainEqual({
      key: nobody,
      model: nobody,
      provider: nobody,
      route: 'none',
      status: '4xx',
    });
  });

  it.each([
    ['minute', ['2026-03-01T10:59:00.000Z', '2026-03-01T11:00:00.000Z', '2026-03-01T11:01:00.000Z']],
    ['hour', ['2026-03-01T10:00:00.000Z', '2026-03-01T11:00:00.000Z']],
    ['day', ['2026-03-01T00:00:00.000Z']],
  ])('divides time by %s', async (interval, starts) => {
    await store([-61, -60, -59].map((minutes) => at(NOW + minutes * MINUTE)));
    expect((await report(`interval=${interval}`)).rows.map((row) => row['start'])).toEqual(starts);
  });

  const filters: [string, number][] = [
    ['model=gpt', 2],
    ['model=claude', 1],
    ['provider=other', 1],
    ['route=embeddings', 1],
    ['status=2xx', 2],
    ['status=5xx', 1],
    ['key_id=0', 0],
    ['model=gpt&status=5xx', 0],
  ];
  it.each(filters)('narrows by %s', async (filter, requests) => {
    await store([
      at(NOW - HOUR),
      at(NOW - HOUR, { route: 3 }),
      at(NOW - HOUR, { model_id: ids.claude, provider_id: ids.other, status: 502 }),
    ]);
    expect((await report(filter)).rows[0]?.requests ?? 0).toBe(requests);
  });

  it('takes a range with any zone, on full minutes', async () => {
    await store([at(NOW - HOUR), at(NOW - 2 * HOUR)]);
    const query = `from=${encodeURIComponent('2026-03-01T11:30:30+01:00')}&to=2026-03-01T11:00:01Z`;
    const { rows, from, to } = await report(query);
    expect([from, to]).toEqual(['2026-03-01T10:30:00.000Z', '2026-03-01T11:01:00.000Z']);
    expect(rows[0]?.requests).toBe(1);
  });

  it('pages by offset', async () => {
    await store(Array.from({ length: 5 }, (_, key) => at(NOW - HOUR, { key_id: 1_000 + key })));
    const seen: unknown[] = [];
    for (let offset: number | null = 0; offset !== null;) {
      const page = await report(`group_by=key&limit=2&offset=${offset}`);
      seen.push(...page.rows.map((row) => (row['key'] as { id: number }).id));
      offset = page.next_offset;
    }
    expect(seen).toEqual([1_000, 1_001, 1_002, 1_003, 1_004]);
  });

  it.each([
    'group_by=user',
    'group_by=key,',
    'group_by=key%20',
    'interval=week',
    'limit=0',
    'limit=1001',
    'offset=-1',
    'offset=100001',
    'from=yesterday',
    'from=2026-01-01',
    'to=2026-13-01T00:00:00Z',
    'from=2026-03-01T00:00:00Z&to=2026-02-01T00:00:00Z',
    'status=200',
    'route=chat',
    'key_id=-1',
    'tenant=x',
    `model=${'x'.repeat(257)}`,
  ])('refuses ?%s', async (query) => {
    const answer = await h.call('GET', `${USAGE}?${query}`);
    expect(answer.statusCode).toBe(400);
    const { error } = answer.json<{ error: { code: string; path: string } }>();
    expect(error.code).toBe('invalid_request');
    expect(error.path).toMatch(
      /^querystring\.(group_by|interval|limit|offset|from|to|status|route|key_id|tenant|model)$/,
    );
  });
});

describe('the list of requests', () => {
  it('shows one with names and flags', async () => {
    const [target] = await h.store.labelIds([{ kind: 'target', name: 'gpt -> openai' }]);
    await store([
      at(NOW - HOUR, {
        request_id: 0xbeef,
        target_id: target!,
        status: 502,
        error: 20,
        flags: 1 | 8,
        attempts: 2,
      }),
    ]);
    const { requests, next_cursor } = (await h.call('GET', `${USAGE}/requests`)).json<{
      requests: Row[];
      next_cursor: null;
    }>();
    expect(next_cursor).toBeNull();
    expect(requests).toEqual([
      expect.objectContaining({
        id: `${'0'.repeat(28)}beef`,
        started_at: '2026-03-01T11:00:00.000Z',
        key: { id: ids.key, name: 'team' },
        model: { id: ids.gpt, name: 'gpt' },
        provider: { id: ids.openai, name: 'openai' },
        target: { id: target, name: 'gpt -> openai' },
        route: 'chat_completions',
        status: 502,
        error: 'upstream_truncated',
        stream: true,
        truncated: true,
        client_aborted: false,
        estimated: false,
        attempts: 2,
        input_tokens: 100,
      }),
    ]);
  });

  it('pages and filters', async () => {
    for (let batch = 0; batch < 4; batch += 1) {
      await store(
        Array.from({ length: 5 }, (_, n) =>
          at(NOW - HOUR + batch * MINUTE + n, { request_id: batch * 5 + n, status: n ? 200 : 500 }),
        ),
      );
    }
    const read = async (query: string): Promise<number[]> => {
      const seen: number[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const path: string = `${USAGE}/requests?${query}${cursor && `&cursor=${cursor}`}`;
        const page: { requests: { id: string }[]; next_cursor: string | null } = (
          await h.call('GET', path)
        ).json();
        seen.push(...page.requests.map(({ id }) => Number.parseInt(id, 16)));
        cursor = page.next_cursor;
      }
      return seen;
    };
    const newestFirst = Array.from({ length: 20 }, (_, n) => 19 - n);
    expect(await read('limit=3')).toEqual(newestFirst);
    expect(await read('limit=500')).toEqual(newestFirst);
    expect(await read('limit=1&status=500')).toEqual([15, 10, 5, 0]);
    expect(await read('model=claude')).toEqual([]);
    expect(await read(`key_id=${ids.key}&provider=openai&route=chat_completions&model=gpt`)).toEqual(
      newestFirst,
    );
    expect(await read('to=2026-03-01T11:01:00Z')).toEqual([4, 3, 2, 1, 0]);
  });

  it.each([
    'cursor=abc',
    'limit=501',
    'status=2xx',
    'status=99',
    'group_by=key',
    `cursor=${'x'.repeat(129)}`,
  ])('refuses ?%s', async (query) => {
    const answer = await h.call('GET', `${USAGE}/requests?${query}`);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ error: { code: 'invalid_request' } });
  });
});
