import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/index.js';
import {
  decodeCursor,
  encodeCursor,
  listRequests,
  type RequestCursor,
  type RequestQuery,
} from '../../src/usage/requests.js';
import { describeEach, type StorePlace } from '../store/engines.js';
import { OK, type RecordFields, records, T0 } from './records.js';

describeEach((engine) => {
  let place: StorePlace;
  let store: Store;

  beforeEach(async () => {
    place = await engine.place();
    store = await place.open();
  });

  afterEach(async () => {
    await store.close();
    await place.remove();
  });

  const SEGMENTS = 30;
  const PER_SEGMENT = 11;

  /** Segment `s` holds the requests `s * 11 ..`, finished out of order within its second. */
  async function fill(): Promise<RecordFields[]> {
    const boot = await store.usage.openBoot('boot');
    const all: RecordFields[] = [];
    for (let segment = 0; segment < SEGMENTS; segment += 1) {
      const rows = Array.from({ length: PER_SEGMENT }, (_, at) => ({
        ...OK,
        request_id: segment * PER_SEGMENT + at,
        started_at_ms: T0 + segment * 1_000 + ((at * 7) % PER_SEGMENT),
        key_id: 1 + (at % 3),
        model_id: 1 + (segment % 2),
        status: at === 5 ? 429 : 200,
      }));
      all.push(...rows);
      const firstMs = T0 + segment * 1_000 + 5;
      const span = { firstMs, lastMs: firstMs + PER_SEGMENT };
      await store.usage.writeSegments(boot.id, [
        { sequence: segment + 1, ...span, count: rows.length, records: records(rows) },
      ]);
    }
    return all;
  }

  const RANGE = { fromMs: T0, toMs: T0 + 1_000_000 };

  async function pages(query: Omit<RequestQuery, 'limit'>, limit: number): Promise<number[]> {
    const ids: number[] = [];
    let cursor: RequestCursor | undefined;
    for (;;) {
      const page = await listRequests(store.usage, { ...query, limit, ...(cursor && { cursor }) });
      expect(page.requests.length).toBeLessThanOrEqual(limit);
      ids.push(...page.requests.map((request) => Number.parseInt(request.requestId, 16)));
      if (!page.next) return ids;
      cursor = decodeCursor(encodeCursor(page.next)) ?? expect.fail('cursor does not survive its text form');
    }
  }

  /** Latest finish first, which for these rows is latest start first. */
  function expected(rows: RecordFields[], keep: (row: RecordFields) => boolean): number[] {
    const kept = rows.filter(keep).sort((a, b) => b.started_at_ms! - a.started_at_ms!);
    return kept.map((row) => row.request_id!);
  }

  describe('listRequests', () => {
    const filters: [string, Partial<RequestQuery>, (row: RecordFields) => boolean][] = [
      ['everything', {}, () => true],
      ['one key', { keyId: 2 }, (row) => row.key_id === 2],
      ['models', { modelIds: [2, 9] }, (row) => row.model_id === 2],
      ['one status', { status: 429 }, (row) => row.status === 429],
      ['key and status', { keyId: 3, status: 429 }, (row) => row.key_id === 3 && row.status === 429],
      ['nothing', { providerIds: [77] }, () => false],
      ['a route', { route: 1 }, () => true],
      ['another route', { route: 2 }, () => false],
      [
        'a time range',
        { fromMs: T0 + 3_008, toMs: T0 + 5_009 },
        (row) => row.started_at_ms! + 5 >= T0 + 3_008 && row.started_at_ms! + 5 < T0 + 5_009,
      ],
    ];

    it.each(filters)(
      'pages through %s, newest first, whatever the size of a page',
      async (_, filter, keep) => {
        const rows = await fill();
        const query = { ...RANGE, ...filter };
        for (const limit of [1, 7, 11, 1_000])
          expect(await pages(query, limit)).toEqual(expected(rows, keep));
      },
    );

    it('is not disturbed by what arrives between two pages', async () => {
      const rows = await fill();
      const first = await listRequests(store.usage, { ...RANGE, limit: 100 });
      const boot = await store.usage.openBoot('later');
      const firstMs = T0 + 900_000;
      await store.usage.writeSegments(boot.id, [
        {
          sequence: 1,
          firstMs,
          lastMs: firstMs,
          count: 1,
          records: records([{ ...OK, started_at_ms: firstMs }]),
        },
      ]);
      const second = await listRequests(store.usage, { ...RANGE, limit: 1_000, cursor: first.next! });
      const ids = [...first.requests, ...second.requests].map((request) =>
        Number.parseInt(request.requestId, 16),
      );
      expect(ids).toEqual(expected(rows, () => true));
    });

    it('reads a bounded number of records for one page', async () => {
      const boot = await store.usage.openBoot('boot');
      const bytes = records(Array.from({ length: 16_000 }, () => OK));
      for (let sequence = 1; sequence <= 20; sequence += 1) {
        const firstMs = T0 + sequence;
        await store.usage.writeSegments(boot.id, [
          { sequence, firstMs, lastMs: firstMs, count: 16_000, records: bytes },
        ]);
      }
      const page = await listRequests(store.usage, { ...RANGE, keyId: 99, limit: 10 });
      expect(page.requests).toEqual([]);
      expect(page.next).not.toBeNull();
      expect(await pages({ ...RANGE, keyId: 99 }, 10)).toEqual([]);
    });
  });

  describe('decodeCursor', () => {
    const bad = ['', 'x', '1.2', 'a.b.c', '1.2.-3', '1.2.3.4', `${'9'.repeat(17)}.1.1`];
    it.each(bad)('refuses %j', (text) => {
      expect(decodeCursor(Buffer.from(text).toString('base64url'))).toBeNull();
    });
  });
});
