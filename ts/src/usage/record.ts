/**
 * Reading usage records: fixed, little-endian, 4-byte aligned, laid out by the data plane (`bridge/generated/record.ts`).
 * The hot loop reads 32-bit words; everything else goes through {@link decodeRecord}.
 */
import { RECORD_BYTES, RECORD_FIELDS, UNPRICED } from '../bridge/generated/record.js';

/** Words of one record. */
export const RECORD_WORDS = RECORD_BYTES / 4;

const MICROSECONDS_PER_MS = 1_000;
const HIGH_WORD = 2 ** 32;
const STARTED = RECORD_FIELDS.started_at_ms.offset / 4;
const COST = RECORD_FIELDS.cost_picousd.offset;
const COST_BYTES = 8;
const DURATION = RECORD_FIELDS.duration_us.offset / 4;

/** One record, decoded. Ids are 0 where the request did not get that far. */
export interface UsageRecord {
  /** 32 hexadecimal digits. */
  readonly requestId: string;
  readonly startedAtMs: number;
  readonly keyId: number;
  readonly modelId: number;
  readonly providerId: number;
  readonly targetId: number;
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  readonly cacheWriteTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
  readonly durationUs: number;
  readonly gatewayUs: number;
  readonly firstByteUs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly status: number;
  readonly route: number;
  readonly flags: number;
  readonly error: number;
  readonly attempts: number;
  readonly cacheWrite1hTokens: number;
  readonly audioInputTokens: number;
  readonly imageInputTokens: number;
  readonly audioOutputTokens: number;
  readonly imageOutputTokens: number;
  /** Pico-USD; -1 where there was no price. */
  readonly costPicousd: bigint;
  /** Label of the version of the prices; 0 in a record from before it was written down. */
  readonly pricesId: number;
  /** Index into `SERVICE_TIER_LABELS`. */
  readonly serviceTier: number;
}

/** The bytes as 32-bit words; copied only where they do not lie on a word boundary. */
export function recordWords(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % Uint32Array.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, Math.floor(aligned.byteLength / 4));
}

/** How many whole records the bytes hold. */
export function recordCount(bytes: Uint8Array): number {
  return Math.floor(bytes.byteLength / RECORD_BYTES);
}

/**
 * Records as they are now, from a batch of `count` that another version may have written. What only a later one knows is left
 * out. What an earlier one did not know is 0, but a cost is unknown, unless it stands in `costs`: 8 bytes for each record,
 * which is where costs were before records had them.
 */
export function widened(bytes: Uint8Array, count: number, costs: Uint8Array | null = null): Uint8Array {
  const stored = count === 0 ? RECORD_BYTES : Math.floor(bytes.byteLength / count);
  if (stored === RECORD_BYTES) return bytes;
  const known = Math.min(stored, RECORD_BYTES);
  const wide = new Uint8Array(count * RECORD_BYTES);
  const view = new DataView(wide.buffer);
  for (let index = 0; index < count; index += 1) {
    const at = index * RECORD_BYTES;
    wide.set(bytes.subarray(index * stored, index * stored + known), at);
    if (stored > RECORD_BYTES) continue;
    const cost = costs?.subarray(index * COST_BYTES, (index + 1) * COST_BYTES);
    if (cost?.length === COST_BYTES) wide.set(cost, at + COST);
    else view.setBigInt64(at + COST, UNPRICED, true);
  }
  return wide;
}

/** When the record at a word began, milliseconds since 1970. Usage is booked at this time. */
export function startedAtMs(words: Uint32Array, at: number): number {
  return words[at + STARTED]! + words[at + STARTED + 1]! * HIGH_WORD;
}

/** When it finished, likewise. Segments and lists of requests are in this order. */
export function finishedAtMs(words: Uint32Array, at: number): number {
  return startedAtMs(words, at) + Math.floor(words[at + DURATION]! / MICROSECONDS_PER_MS);
}

/** When the first and the last of `count` records finished, milliseconds since 1970. */
export function timeSpan(words: Uint32Array, count: number): { firstMs: number; lastMs: number } {
  const span = { firstMs: Number.MAX_SAFE_INTEGER, lastMs: 0 };
  for (let index = 0; index < count; index += 1) {
    const finished = finishedAtMs(words, index * RECORD_WORDS);
    span.firstMs = Math.min(span.firstMs, finished);
    span.lastMs = Math.max(span.lastMs, finished);
  }
  return span;
}

/** The record at `index`. */
export function decodeRecord(bytes: Uint8Array, index: number): UsageRecord {
  const at = index * RECORD_BYTES;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, RECORD_BYTES);
  const u32 = (field: keyof typeof RECORD_FIELDS): number =>
    view.getUint32(RECORD_FIELDS[field].offset, true);
  const u8 = (field: keyof typeof RECORD_FIELDS): number => view.getUint8(RECORD_FIELDS[field].offset);
  const id = RECORD_FIELDS.request_id.offset;
  const started = RECORD_FIELDS.started_at_ms.offset;
  return {
    requestId: Buffer.from(bytes.buffer, view.byteOffset + id, 16).toString('hex'),
    startedAtMs: view.getUint32(started, true) + view.getUint32(started + 4, true) * HIGH_WORD,
    keyId: u32('key_id'),
    modelId: u32('model_id'),
    providerId: u32('provider_id'),
    targetId: u32('target_id'),
    inputTokens: u32('input_tokens'),
    cachedInputTokens: u32('cached_input_tokens'),
    cacheWriteTokens: u32('cache_write_tokens'),
    outputTokens: u32('output_tokens'),
    reasoningTokens: u32('reasoning_tokens'),
    durationUs: u32('duration_us'),
    gatewayUs: u32('gateway_us'),
    firstByteUs: u32('first_byte_us'),
    requestBytes: u32('request_bytes'),
    responseBytes: u32('response_bytes'),
    status: view.getUint16(RECORD_FIELDS.status.offset, true),
    route: u8('route'),
    flags: u8('flags'),
    error: u8('error'),
    attempts: u8('attempts'),
    cacheWrite1hTokens: u32('cache_write_1h_tokens'),
    audioInputTokens: u32('audio_input_tokens'),
    imageInputTokens: u32('image_input_tokens'),
    audioOutputTokens: u32('audio_output_tokens'),
    imageOutputTokens: u32('image_output_tokens'),
    costPicousd: view.getBigInt64(RECORD_FIELDS.cost_picousd.offset, true),
    pricesId: u32('prices_id'),
    serviceTier: u8('service_tier'),
  };
}

/** Names of the status classes, by the number they are stored as; the order of `RouteStats.by_class`. */
export const STATUS_CLASSES = ['2xx', '3xx', '4xx', '5xx', 'client_gone'] as const;

/** Status of a request whose client was gone before an answer was sent. */
const CLIENT_GONE_STATUS = 499;
const CLIENT_GONE_CLASS = 4;

/** Number of the class a status belongs to. */
export function statusClass(status: number): number {
  if (status === CLIENT_GONE_STATUS) return CLIENT_GONE_CLASS;
  if (status < 300) return 0;
  if (status < 400) return 1;
  return status < 500 ? 2 : 3;
}
