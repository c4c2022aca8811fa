/**
 * Sums of usage per minute, key, model, provider, route and status class, in memory until they are written.
 *
 * This runs once per request of the gateway, so it is an open-addressing hash table over typed arrays: nothing is
 * allocated per record, where a `Map` with a composed string or object key costs several times the whole budget.
 * Counts are float64, exact up to 2^53. Costs are exact without bound.
 *
 * The minute is that of the request's beginning: limits count a request where it was admitted, and what they have counted is
 * the sum of these rows.
 */
import { RECORD_FIELDS, RECORD_FLAGS } from '../bridge/generated/record.js';
import { CostSum } from './costs.js';
import { finishedAtMs, RECORD_WORDS, startedAtMs, statusClass } from './record.js';

/** What the sums are kept by, in the order of the stored columns. */
export const ROLLUP_KEYS = ['minute', 'key_id', 'model_id', 'provider_id', 'route', 'status_class'] as const;

/** What is summed, in the order of the stored columns. */
export const ROLLUP_SUMS = [
  'requests',
  'input_tokens',
  'cached_input_tokens',
  'cache_write_tokens',
  'output_tokens',
  'reasoning_tokens',
  'cache_write_1h_tokens',
  'audio_input_tokens',
  'image_input_tokens',
  'audio_output_tokens',
  'image_output_tokens',
  'errors',
  'aborted',
  'estimated',
  'unpriced',
  'duration_us',
  'gateway_us',
] as const;

/** One of the sums. */
export type RollupSum = (typeof ROLLUP_SUMS)[number];

/** Beyond this many distinct combinations (44 MB) further ones are summed without key, model and provider. */
export const MAX_ROLLUP_ENTRIES = 262_144;

const INITIAL_ENTRIES = 1_024;
const KEY_WORDS = 5;
const SUM_COLUMNS = ROLLUP_SUMS.length;
const UNPRICED_COLUMN = ROLLUP_SUMS.indexOf('unpriced');
const MS_PER_MINUTE = 60_000;

const word = (field: keyof typeof RECORD_FIELDS): number => RECORD_FIELDS[field].offset / 4;
const KEY = word('key_id');
const MODEL = word('model_id');
const PROVIDER = word('provider_id');
const INPUT = word('input_tokens');
const CACHED_INPUT = word('cached_input_tokens');
const CACHE_WRITE = word('cache_write_tokens');
const OUTPUT = word('output_tokens');
const REASONING = word('reasoning_tokens');
const CACHE_WRITE_1H = word('cache_write_1h_tokens');
const AUDIO_INPUT = word('audio_input_tokens');
const IMAGE_INPUT = word('image_input_tokens');
const AUDIO_OUTPUT = word('audio_output_tokens');
const IMAGE_OUTPUT = word('image_output_tokens');
const DURATION = word('duration_us');
const GATEWAY = word('gateway_us');
/** Status (16 bits), route and flags share a word; error is the lowest byte of the next. */
const STATUS_ROUTE_FLAGS = word('status');
const ERROR = word('error');

/** Finish times of the first and last record of a batch, milliseconds since 1970. */
export interface TimeSpan {
  firstMs: number;
  lastMs: number;
}

/** The table. */
export class RollupTable {
  private keys = new Uint32Array(INITIAL_ENTRIES * KEY_WORDS);
  private sums = new Float64Array(INITIAL_ENTRIES * SUM_COLUMNS);
  /** By entry. */
  private costs: CostSum[] = [];
  /** Entry number plus one by hash; twice as many slots as entries. */
  private slots = new Int32Array(INITIAL_ENTRIES * 2);
  private entries = 0;
  private lastEntry = -1;
  /** Records that were summed without key, model and provider because the table was full. */
  unattributed = 0;

  constructor(private readonly maxEntries: number = MAX_ROLLUP_ENTRIES) {}

  /** Distinct combinations held. */
  get size(): number {
    return this.entries;
  }

  /** Adds `count` records, and tells when they finished. */
  add(words: Uint32Array, count: number): TimeSpan {
    const span = { firstMs: Number.MAX_SAFE_INTEGER, lastMs: 0 };
    for (let index = 0, at = 0; index < count; index += 1, at += RECORD_WORDS) {
      const finished = finishedAtMs(words, at);
      this.addRecord(words, at);
      if (finished < span.firstMs) span.firstMs = finished;
      if (finished > span.lastMs) span.lastMs = finished;
    }
    return span;
  }

  /** Calls `visit` with the key columns, the sums and the cost of every entry, in arrays that are used again. */
  forEach(visit: (key: readonly number[], sums: readonly number[], cost: bigint) => void): void {
    const key = new Array<number>(ROLLUP_KEYS.length).fill(0);
    const sums = new Array<number>(SUM_COLUMNS).fill(0);
    for (let entry = 0; entry < this.entries; entry += 1) {
      const at = entry * KEY_WORDS;
      for (let column = 0; column < KEY_WORDS - 1; column += 1) key[column] = this.keys[at + column] ?? 0;
      const routeAndClass = this.keys[at + KEY_WORDS - 1] ?? 0;
      key[KEY_WORDS - 1] = routeAndClass >>> 8;
      key[KEY_WORDS] = routeAndClass & 0xff;
      for (let column = 0; column < SUM_COLUMNS; column += 1)
        sums[column] = this.sums[entry * SUM_COLUMNS + column] ?? 0;
      visit(key, sums, this.costs[entry]?.total() ?? 0n);
    }
  }

  /** Forgets everything, keeping the memory. */
  clear(): void {
    this.slots.fill(0);
    this.sums.fill(0, 0, this.entries * SUM_COLUMNS);
    this.costs = [];
    this.entries = 0;
    this.lastEntry = -1;
  }

  private addRecord(words: Uint32Array, at: number): void {
    const packed = words[at + STATUS_ROUTE_FLAGS]!;
    const routeAndClass = (((packed >>> 16) & 0xff) << 8) | statusClass(packed & 0xffff);
    const minute = Math.floor(startedAtMs(words, at) / MS_PER_MINUTE);
    const entry = this.entryOf(
      minute,
      words[at + KEY]!,
      words[at + MODEL]!,
      words[at + PROVIDER]!,
      routeAndClass,
    );
    const to = entry * SUM_COLUMNS;
    this.sumInto(to, words, at, packed >>> 24);
    if (!this.costs[entry]!.add(words, at)) this.sums[to + UNPRICED_COLUMN]! += 1;
  }

  private sumInto(to: number, words: Uint32Array, at: number, flags: number): void {
    const sums = this.sums;
    sums[to]! += 1;
    sums[to + 1]! += words[at + INPUT]!;
    sums[to + 2]! += words[at + CACHED_INPUT]!;
    sums[to + 3]! += words[at + CACHE_WRITE]!;
    sums[to + 4]! += words[at + OUTPUT]!;
    sums[to + 5]! += words[at + REASONING]!;
    sums[to + 6]! += words[at + CACHE_WRITE_1H]!;
    sums[to + 7]! += words[at + AUDIO_INPUT]!;
    sums[to + 8]! += words[at + IMAGE_INPUT]!;
    sums[to + 9]! += words[at + AUDIO_OUTPUT]!;
    sums[to + 10]! += words[at + IMAGE_OUTPUT]!;
    if ((words[at + ERROR]! & 0xff) !== 0) sums[to + 11]! += 1;
    if ((flags & RECORD_FLAGS.client_aborted) !== 0) sums[to + 12]! += 1;
    if ((flags & RECORD_FLAGS.estimated) !== 0) sums[to + 13]! += 1;
    sums[to + 15]! += words[at + DURATION]!;
    sums[to + 16]! += words[at + GATEWAY]!;
  }

  /** Consecutive records are often alike, so the entry of the one before is tried first. */
  private entryOf(
    minute: number,
    key: number,
    model: number,
    provider: number,
    routeAndClass: number,
  ): number {
    const last = this.lastEntry;
    if (last >= 0 && this.matches(last, minute, key, model, provider, routeAndClass)) return last;
    const entry = this.find(minute, key, model, provider, routeAndClass);
    this.lastEntry = entry;
    return entry;
  }

  private find(minute: number, key: number, model: number, provider: number, routeAndClass: number): number {
    const mask = this.slots.length - 1;
    let slot = hash(minute, key, model, provider, routeAndClass) & mask;
    for (;;) {
      const entry = this.slots[slot]! - 1;
      if (entry < 0) return this.insert(slot, minute, key, model, provider, routeAndClass);
      if (this.matches(entry, minute, key, model, provider, routeAndClass)) return entry;
      slot = (slot + 1) & mask;
    }
  }

  private matches(
    entry: number,
    minute: number,
    key: number,
    model: number,
    provider: number,
    last: number,
  ): boolean {
    const at = entry * KEY_WORDS;
    const keys = this.keys;
    return (
      keys[at + 1] === key &&
      keys[at + 2] === model &&
      keys[at] === minute &&
      keys[at + 3] === provider &&
      keys[at + 4] === last
    );
  }

  private insert(
    slot: number,
    minute: number,
    key: number,
    model: number,
    provider: number,
    routeAndClass: number,
  ): number {
    const attributed = key !== 0 || model !== 0 || provider !== 0;
    if (this.entries >= this.maxEntries && attributed) {
      this.unattributed += 1;
      return this.find(minute, 0, 0, 0, routeAndClass);
    }
    const entry = this.entries;
    this.entries += 1;
    this.costs[entry] = new CostSum();
    this.slots[slot] = entry + 1;
    this.keys.set([minute, key, model, provider, routeAndClass], entry * KEY_WORDS);
    if (this.entries * 2 >= this.slots.length) this.grow();
    return entry;
  }

  private grow(): void {
    const entries = this.slots.length;
    this.keys = copyInto(new Uint32Array(entries * KEY_WORDS), this.keys);
    this.sums = copyInto(new Float64Array(entries * SUM_COLUMNS), this.sums);
    this.slots = new Int32Array(entries * 2);
    for (let entry = 0; entry < this.entries; entry += 1) this.placeAgain(entry);
  }

  private placeAgain(entry: number): void {
    const [minute, key, model, provider, last] = this.keys.subarray(
      entry * KEY_WORDS,
      (entry + 1) * KEY_WORDS,
    );
    const mask = this.slots.length - 1;
    let slot = hash(minute!, key!, model!, provider!, last!) & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = entry + 1;
  }
}

function copyInto<T extends Uint32Array | Float64Array>(to: T, from: T): T {
  to.set(from);
  return to;
}

/** Multiply and fold per word (constants of MurmurHash3's mixers): ids are small and dense, so any mixing will do. */
function hash(minute: number, key: number, model: number, provider: number, routeAndClass: number): number {
  let mixed = Math.imul(minute, 0xcc9e2d51) ^ Math.imul(key, 0x1b873593);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) ^ Math.imul(model, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0x85ebca6b) ^ Math.imul(provider, 0x1b873593) ^ routeAndClass;
  return Math.imul(mixed ^ (mixed >>> 16), 0xc2b2ae35) >>> 7;
}
