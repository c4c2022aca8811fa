/**
 * The list of single requests, read from the stored segments: newest batch first, and within a batch by finish time.
 *
 * Segments have no index per key or model; that is the price of storing thirty thousand records a second cheaply. A
 * filtered page therefore reads a bounded number of records and may come back short, or empty, with a cursor that goes
 * on where it stopped.
 */
import { setImmediate } from 'node:timers/promises';
import { RECORD_FIELDS, UNPRICED } from '../bridge/generated/record.js';
import type { SegmentPlace, StoredSegment, UsageLedger } from './ports.js';
import { decodeRecord, finishedAtMs, RECORD_WORDS, recordWords, type UsageRecord } from './record.js';

/** Records looked at for one page, at most (22 MB); one segment more may be begun. */
const MAX_SCANNED_RECORDS = 200_000;

/** Segments fetched by one query. */
const SEGMENTS_PER_QUERY = 8;

const KEY = RECORD_FIELDS.key_id.offset / 4;
const MODEL = RECORD_FIELDS.model_id.offset / 4;
const PROVIDER = RECORD_FIELDS.provider_id.offset / 4;
const STATUS_AND_ROUTE = RECORD_FIELDS.status.offset / 4;

/** Where the next page begins: a segment, and how many of its matching records have been given. */
export interface RequestCursor extends SegmentPlace {
  readonly skip: number;
}

/** Which requests. Each filter that is present must hold. */
export interface RequestFilter {
  /** Finished at or after, milliseconds since 1970. */
  readonly fromMs: number;
  /** Finished before, milliseconds since 1970. */
  readonly toMs: number;
  readonly keyId?: number;
  /** Any of these models. */
  readonly modelIds?: readonly number[];
  /** Any of these providers. */
  readonly providerIds?: readonly number[];
  readonly status?: number;
  readonly route?: number;
}

/** Which page of them. */
export interface RequestQuery extends RequestFilter {
  readonly limit: number;
  readonly cursor?: RequestCursor;
}

/** A record, and what it cost. */
export interface RecordedRequest extends UsageRecord {
  /** Pico-USD; null where there was no price. */
  readonly cost: bigint | null;
  /** Version of the prices in a record that does not name it by `pricesId`; null in one from before there were any. */
  readonly priceVersion: string | null;
}

/** One page. */
export interface RequestPage {
  readonly requests: readonly RecordedRequest[];
  /** Null where nothing is left. */
  readonly next: RequestCursor | null;
}

/** Reads one page. */
export async function listRequests(ledger: UsageLedger, query: RequestQuery): Promise<RequestPage> {
  const requests: RecordedRequest[] = [];
  let at = query.cursor ?? null;
  for (let scanned = 0; scanned < MAX_SCANNED_RECORDS;) {
    const segments = await nextSegments(ledger, query, at);
    for (const segment of segments) {
      const skip = at?.id === segment.id ? at.skip : 0;
      const found = matching(segment, query);
      const taken = found.slice(skip, skip + query.limit - requests.length);
      for (const index of taken) requests.push(recorded(segment, index));
      at = place(segment, skip + taken.length);
      if (requests.length === query.limit) return { requests, next: at };
      scanned += segment.count;
    }
    if (segments.length < SEGMENTS_PER_QUERY) return { requests, next: null };
  }
  return { requests, next: at };
}

/** Segments that an export holds at a time (5 MB). */
const SEGMENTS_PER_EXPORT_QUERY = 3;

/** Records that an export works on before others get their turn. */
const RECORDS_PER_TURN = 500;

/** Every request that satisfies the filters, newest first, in batches; each stored segment is read once. */
export async function* everyRequest(
  ledger: UsageLedger,
  query: RequestFilter,
): AsyncGenerator<RecordedRequest[]> {
  const { fromMs, toMs } = query;
  let at: SegmentPlace | null = null;
  for (;;) {
    const range = { fromMs, toMs, limit: SEGMENTS_PER_EXPORT_QUERY };
    const segments: StoredSegment[] = await ledger.querySegments({ ...range, ...(at && { at }) });
    for (const segment of segments) {
      if (segment.id === at?.id) continue;
      const found = matching(segment, query);
      for (let from = 0; from < found.length; from += RECORDS_PER_TURN) {
        yield found.slice(from, from + RECORDS_PER_TURN).map((index) => recorded(segment, index));
        await setImmediate();
      }
    }
    const last: StoredSegment | undefined = segments.at(-1);
    if (last === undefined || segments.length < SEGMENTS_PER_EXPORT_QUERY) return;
    at = { firstMs: last.firstMs, id: last.id };
  }
}

function recorded({ records, priceVersion }: StoredSegment, index: number): RecordedRequest {
  const record = decodeRecord(records, index);
  const { costPicousd } = record;
  return { ...record, cost: costPicousd === UNPRICED ? null : costPicousd, priceVersion };
}

/** The text form of a cursor; opaque to clients. */
export function encodeCursor(cursor: RequestCursor): string {
  return Buffer.from(`${cursor.firstMs}.${cursor.id}.${cursor.skip}`).toString('base64url');
}

/** Null for a text that is no cursor of ours. */
export function decodeCursor(text: string): RequestCursor | null {
  const match = /^(\d{1,16})\.(\d{1,16})\.(\d{1,9})$/.exec(Buffer.from(text, 'base64url').toString('latin1'));
  if (!match) return null;
  const [firstMs, id, skip] = match.slice(1).map(Number) as [number, number, number];
  return { firstMs, id, skip };
}

function nextSegments(
  ledger: UsageLedger,
  query: RequestQuery,
  at: RequestCursor | null,
): Promise<StoredSegment[]> {
  const { fromMs, toMs } = query;
  return ledger.querySegments({ fromMs, toMs, limit: SEGMENTS_PER_QUERY, ...(at && { at }) });
}

function place(segment: StoredSegment, skip: number): RequestCursor {
  return { firstMs: segment.firstMs, id: segment.id, skip };
}

/** Which records of a segment satisfy the query, latest finish first. */
function matching(segment: StoredSegment, query: RequestFilter): number[] {
  const words = recordWords(segment.records);
  const found: { index: number; finished: number }[] = [];
  for (let index = 0; index < segment.count; index += 1) {
    const at = index * RECORD_WORDS;
    if (!matches(words, at, query)) continue;
    const finished = finishedAtMs(words, at);
    if (finished >= query.fromMs && finished < query.toMs) found.push({ index, finished });
  }
  return found.sort((a, b) => b.finished - a.finished).map(({ index }) => index);
}

/** Every filter but the time. */
function matches(words: Uint32Array, at: number, query: RequestFilter): boolean {
  const { keyId, modelIds, providerIds, status, route } = query;
  const statusAndRoute = words[at + STATUS_AND_ROUTE]!;
  return (
    (keyId === undefined || words[at + KEY] === keyId) &&
    (modelIds === undefined || modelIds.includes(words[at + MODEL]!)) &&
    (providerIds === undefined || providerIds.includes(words[at + PROVIDER]!)) &&
    (status === undefined || (statusAndRoute & 0xffff) === status) &&
    (route === undefined || ((statusAndRoute >>> 16) & 0xff) === route)
  );
}
