import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CsvTable } from '../../src/admin/csv.js';
import { OPEN_SCOPE } from '../../src/governance/entity.js';
import { recordCount, recordWords } from '../../src/usage/record.js';
import { RollupTable } from '../../src/usage/rollup-table.js';
import { OK, type RecordFields, records } from '../usage/records.js';
import { type Harness, harness, NOW, TOKEN } from './harness.js';

const USAGE = '/admin/v1/usage';
const FORMULA = '=HYPERLINK("http://x","y")';

let h: Harness;
let key: number;
let model: number;
let sequence = 0;

beforeAll(async () => {
  h = await harness();
});

beforeEach(async () => {
  await h.reset();
  [model] = (await h.store.labelIds([{ kind: 'model', name: 'gpt,"4"' }])) as [number];
  const digests = [{ sha256: 'a'.repeat(64), expiresAt: null }];
  const made = { name: FORMULA, digests, models: ['*'], limits: {}, createdAt: NOW, hint: '', ...OPEN_SCOPE };
  key = (await h.store.insertKey(made)).id;
});

afterAll(() => h.close());

async function store(count: number, over: RecordFields = {}): Promise<void> {
  sequence += 1;
  const boot = await h.store.usage.openBoot(`boot-${sequence}`);
  const base = { ...OK, key_id: key, model_id: model, started_at_ms: NOW - 60_000, duration_us: 0, ...over };
  const bytes = records(Array.from({ length: count }, (_, at) => ({ ...base, request_id: at })));
  const table = new RollupTable();
  const span = table.add(recordWords(bytes), recordCount(bytes));
  const segment = { sequence: 1, ...span, count, records: bytes, priceVersion: null };
  await h.store.usage.writeSegments(boot.id, [segment]);
  await h.store.usage.addRollups(boot.id, 0, 1, table);
}

const csv = async (path: string) => {
  const answer = await h.call('GET', `${USAGE}${path}`);
  expect(answer.statusCode).toBe(200);
  expect(answer.headers['content-type']).toBe('text/csv; charset=utf-8');
  expect(answer.body.endsWith('\r\n')).toBe(true);
  return answer.body.slice(0, -2).split('\r\n');
};

describe('a report as CSV', () => {
  it('has a column per group, id and sum, and shows no foreign text as a formula', async () => {
    await store(3);
    const [header, ...rows] = await csv('?format=csv&group_by=key,model&interval=day');
    expect(header).toMatch(/^start,key_id,key,model_id,model,requests,input_tokens,.*,gateway_us,cost_usd$/);
    expect(rows).toHaveLength(1);
    const name = `"'=HYPERLINK(""http://x"",""y"")"`;
    expect(rows[0]).toMatch(/^2\d{3}-\d\d-\d\dT00:00:00\.000Z,/);
    expect(rows[0]).toContain(`,${key},${name},${model},"gpt,""4""",3,300,`);
  });

  it('has every row, whatever limit and offset say, and a header where there is none', async () => {
    for (let id = 1; id <= 30; id += 1) await store(1, { key_id: id });
    expect(await csv('?format=csv&group_by=key&limit=2&offset=5')).toHaveLength(31);
    expect(
      await csv('?format=csv&group_by=key&from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z'),
    ).toHaveLength(1);
  });

  it('comes for Accept: text/csv, and not where JSON is asked for', async () => {
    const headers = { authorization: `Bearer ${TOKEN}`, accept: 'application/xml;q=1, Text/CSV;q=0.9' };
    const get = (query: string) => h.app.inject({ method: 'GET', url: `${USAGE}${query}`, headers });
    expect((await get('')).headers['content-type']).toMatch('text/csv');
    expect((await get('?format=json')).headers['content-type']).toMatch('application/json');
  });

  it('is refused like any other report', async () => {
    const refused = await h.call(
      'GET',
      `${USAGE}?format=csv&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z`,
    );
    expect([refused.statusCode, refused.json()]).toMatchObject([
      400,
      { error: { path: 'querystring.from' } },
    ]);
    expect((await h.call('GET', `${USAGE}?format=xml`)).statusCode).toBe(400);
  });
});

describe('requests as CSV', () => {
  it('are all there, once, over batches and segments, newest first', async () => {
    for (let at = 0; at < 7; at += 1) await store(700, { started_at_ms: NOW - 60_000 - at * 1_000 });
    const [header, ...rows] = await csv('/requests?format=csv');
    expect(header).toMatch(
      /^id,started_at,key_id,key,model_id,model,provider_id,provider,target_id,target,route,/,
    );
    expect(rows).toHaveLength(4_900);
    const starts = rows.map((row) => row.split(',')[1]!);
    expect(starts).toEqual(starts.toSorted().toReversed());
    expect(new Set(rows.map((row) => row.split(',', 2).join()))).toHaveLength(4_900);
  });

  it('satisfy the filters', async () => {
    await store(3);
    await store(2, { status: 500 });
    expect(await csv('/requests?format=csv&status=500')).toHaveLength(3);
    expect(await csv('/requests?format=csv&key_id=999')).toHaveLength(1);
  });

  it('of a store that is away are an answer of their own; of one that goes away break off', async () => {
    for (let at = 0; at < 5; at += 1) await store(1_000, { started_at_ms: NOW - 60_000 - at * 1_000 });
    const { usage } = h.store;
    const real = usage.querySegments.bind(usage);
    const gone = () => Promise.reject(Object.assign(new Error('gone'), { name: 'SqliteError' }));
    let calls = 0;
    usage.querySegments = (query) => ((calls += 1) > 1 ? gone() : real(query));
    const broken = h.call('GET', `${USAGE}/requests?format=csv`).then(
      ({ body }) => body.split('\r\n').length,
      () => 0,
    );
    expect(await broken).toBeLessThan(5_001);
    usage.querySegments = gone;
    const refused = await h.call('GET', `${USAGE}/requests?format=csv`);
    expect([refused.statusCode, refused.json()]).toMatchObject([
      503,
      { error: { code: 'store_unavailable' } },
    ]);
  });
});

describe('a cell', () => {
  const cell = (value: unknown) => new CsvTable(['x']).row({ x: value }).slice(0, -2);

  it.each([
    ['=1+1', "'=1+1"],
    ['+49 30', "'+49 30"],
    ['-x', "'-x"],
    ['@sum', "'@sum"],
    ['\tx', "'\tx"],
    ['-1.5', '-1.5'],
    ['0.001', '0.001'],
    ['a b', 'a b'],
    ['a,b', '"a,b"'],
    ['a"b', '"a""b"'],
    ['a\r\nb', '"a\r\nb"'],
    [-3, '-3'],
    [true, 'true'],
    [null, ''],
    [undefined, ''],
  ])('of %j is %j', (value, expected) => {
    expect(cell(value)).toBe(expected);
  });
});
