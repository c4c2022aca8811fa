/**
 * What records cost. A batch is priced when it is taken, by the prices then in use, and its costs are stored beside it:
 * later prices change nothing that has been booked.
 */
import { RECORD_FIELDS } from '../bridge/generated/record.js';
import { type AppliedPrice, costOf, type TokenUsage } from '../prices/index.js';
import { RECORD_WORDS } from './record.js';

/** Stands for the cost of a request whose model has no price. */
export const UNPRICED = -1n;

/** Most that is booked for one request, in pico-USD: 9.2 million USD, the largest number that fits. */
const MAX_COST = 2n ** 63n - 1n;

/** Prices in use. */
export interface Prices {
  /** Names the prices, in stored batches. */
  readonly version: string;
  /** By id of the target; null, or nothing, for one without a price. */
  readonly byTarget: ReadonlyMap<number, AppliedPrice | null>;
}

/** Prices where nobody has any. */
export const NO_PRICES: Prices = { version: 'none', byTarget: new Map() };

/** What a model has cost at a provider since the start. */
export interface ModelCost {
  readonly providerId: number;
  readonly modelId: number;
  /** Pico-USD. */
  cost: bigint;
  /** Requests without a price; they are not in `cost`. */
  unpriced: number;
}

const word = (field: keyof typeof RECORD_FIELDS): number => RECORD_FIELDS[field].offset / 4;
const MODEL = word('model_id');
const PROVIDER = word('provider_id');
const TARGET = word('target_id');
const STATUS = word('status');
const FIRST_ERROR_STATUS = 300;

/** Where the tokens are in a record, by name. */
const TOKENS = {
  inputTokens: word('input_tokens'),
  cachedInputTokens: word('cached_input_tokens'),
  cacheWriteTokens: word('cache_write_tokens'),
  cacheWrite1hTokens: word('cache_write_1h_tokens'),
  audioInputTokens: word('audio_input_tokens'),
  imageInputTokens: word('image_input_tokens'),
  outputTokens: word('output_tokens'),
  reasoningTokens: word('reasoning_tokens'),
  audioOutputTokens: word('audio_output_tokens'),
  imageOutputTokens: word('image_output_tokens'),
} as const satisfies Record<keyof TokenUsage, number>;

/** Prices batches, and sums what each model has cost. */
export class CostMeter {
  /** By id of the target, which belongs to one model and one provider. */
  private readonly byTarget = new Map<number, ModelCost>();

  constructor(private readonly prices: () => Prices) {}

  /** Costs of a batch in its order, pico-USD, {@link UNPRICED} where there is no price; and the version of the prices. */
  costsOf(words: Uint32Array, count: number): { costs: BigInt64Array; version: string } {
    const { version, byTarget } = this.prices();
    const costs = new BigInt64Array(count);
    for (let index = 0, at = 0; index < count; index += 1, at += RECORD_WORDS) {
      const target = words[at + TARGET]!;
      if (target === 0) continue; // no provider was asked, so nothing was spent
      const cost = recordCost(words, at, byTarget.get(target) ?? null);
      costs[index] = cost;
      const sum = this.sumOf(target, words[at + PROVIDER]!, words[at + MODEL]!);
      if (cost === UNPRICED) sum.unpriced += 1;
      else sum.cost += cost;
    }
    return { costs, version };
  }

  /** What every model has cost so far. */
  sums(): readonly ModelCost[] {
    return [...this.byTarget.values()];
  }

  private sumOf(target: number, providerId: number, modelId: number): ModelCost {
    const known = this.byTarget.get(target);
    if (known !== undefined) return known;
    const sum = { providerId, modelId, cost: 0n, unpriced: 0 };
    this.byTarget.set(target, sum);
    return sum;
  }
}

/** A request that failed without using a token cost nothing where there is a price, not even what each request costs. */
function recordCost(words: Uint32Array, at: number, applied: AppliedPrice | null): bigint {
  if (applied === null) return UNPRICED;
  const used = words[at + TOKENS.inputTokens]! + words[at + TOKENS.outputTokens]!;
  if (used === 0 && (words[at + STATUS]! & 0xffff) >= FIRST_ERROR_STATUS) return 0n;
  const cost = costOf(tokensAt(words, at), applied.price, applied.context);
  return cost > MAX_COST ? MAX_COST : cost;
}

function tokensAt(words: Uint32Array, at: number): TokenUsage {
  return {
    inputTokens: words[at + TOKENS.inputTokens]!,
    cachedInputTokens: words[at + TOKENS.cachedInputTokens]!,
    cacheWriteTokens: words[at + TOKENS.cacheWriteTokens]!,
    cacheWrite1hTokens: words[at + TOKENS.cacheWrite1hTokens]!,
    audioInputTokens: words[at + TOKENS.audioInputTokens]!,
    imageInputTokens: words[at + TOKENS.imageInputTokens]!,
    outputTokens: words[at + TOKENS.outputTokens]!,
    reasoningTokens: words[at + TOKENS.reasoningTokens]!,
    audioOutputTokens: words[at + TOKENS.audioOutputTokens]!,
    imageOutputTokens: words[at + TOKENS.imageOutputTokens]!,
  };
}

/** Costs as bytes, 8 each, little-endian like the records they belong to. */
export function costBytes(costs: BigInt64Array): Uint8Array {
  return new Uint8Array(costs.buffer, costs.byteOffset, costs.byteLength);
}

/** Costs from bytes; copied where they do not lie on a word boundary. */
export function costsFromBytes(bytes: Uint8Array): BigInt64Array {
  const aligned = bytes.byteOffset % BigInt64Array.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new BigInt64Array(aligned.buffer, aligned.byteOffset, Math.floor(aligned.byteLength / 8));
}
