/**
 * What requests have cost, as their records say: the data plane books each at the prices it was admitted under, so later
 * prices change nothing.
 */
import { RECORD_FIELDS } from '../bridge/generated/record.js';
import { RECORD_WORDS } from './record.js';

/** What a model has cost at a provider since the start. */
export interface ModelCost {
  readonly providerId: number;
  readonly modelId: number;
  /** Pico-USD. */
  readonly cost: bigint;
  /** Requests without a price; they are not in `cost`. */
  readonly unpriced: number;
}

const word = (field: keyof typeof RECORD_FIELDS): number => RECORD_FIELDS[field].offset / 4;
const MODEL = word('model_id');
const PROVIDER = word('provider_id');
const TARGET = word('target_id');
const COST_LOW = word('cost_picousd');
const COST_HIGH = COST_LOW + 1;
const ALL_ONES = 0xffff_ffff;
const WORD = 2n ** 32n;

/** Beyond this a lower half carries into the upper one; far enough below 2^53 for the next word to fit. */
const CARRY = 2 ** 52;

/** A sum of costs in two numbers, so that adding one allocates nothing; both are whole, below 2^53. */
export class CostSum {
  private low = 0;
  private high = 0;

  /** Adds the cost of the record at a word; answers false, and adds nothing, where it has no price. */
  add(words: Uint32Array, at: number): boolean {
    const low = words[at + COST_LOW]!;
    const high = words[at + COST_HIGH]!;
    if (low === ALL_ONES && high === ALL_ONES) return false;
    this.high += high;
    this.low += low;
    if (this.low >= CARRY) {
      this.high += Math.floor(this.low / 2 ** 32);
      this.low %= 2 ** 32;
    }
    return true;
  }

  /** Pico-USD. */
  total(): bigint {
    return BigInt(this.high) * WORD + BigInt(this.low);
  }
}

/** Sums what each model has cost. */
export class CostMeter {
  /** By id of the target, which belongs to one model and one provider. */
  private readonly byTarget = new Map<
    number,
    { readonly providerId: number; readonly modelId: number; readonly cost: CostSum; unpriced: number }
  >();

  /** Adds `count` records. */
  add(words: Uint32Array, count: number): void {
    for (let index = 0, at = 0; index < count; index += 1, at += RECORD_WORDS) {
      const target = words[at + TARGET]!;
      if (target === 0) continue; // no model was asked of a provider, so nothing was spent
      let sum = this.byTarget.get(target);
      if (sum === undefined) {
        const [providerId, modelId] = [words[at + PROVIDER]!, words[at + MODEL]!];
        sum = { providerId, modelId, cost: new CostSum(), unpriced: 0 };
        this.byTarget.set(target, sum);
      }
      if (!sum.cost.add(words, at)) sum.unpriced += 1;
    }
  }

  /** What every model has cost so far. */
  sums(): readonly ModelCost[] {
    return [...this.byTarget.values()].map((sum) => ({ ...sum, cost: sum.cost.total() }));
  }
}
