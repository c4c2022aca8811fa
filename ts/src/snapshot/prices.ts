/** What models cost, as the data plane takes it: an operator's rules applied, and numbers that JSON carries exactly. */

import type {
  Price as SnapshotPrice,
  PriceTier,
  Rates as SnapshotRates,
} from '../bridge/generated/snapshot.js';
import type { ProviderConfig, TargetConfig } from '../config/config.js';
import {
  appliedPrice,
  type AppliedPrice,
  type ContextTiers,
  factorOf,
  type PriceRule,
  type Rates,
} from '../prices/index.js';
import { STAR } from './known-models.js';

/** What a target costs; undefined where nobody says. */
export function targetPrice(
  { upstreamModel }: TargetConfig,
  provider: ProviderConfig | undefined,
  rules: readonly PriceRule[],
): SnapshotPrice | undefined {
  if (provider === undefined) return undefined;
  const applied = appliedPrice(provider, upstreamModel === STAR ? null : upstreamModel, rules);
  return applied === null ? undefined : snapshotPrice(applied);
}

/**
 * A price for the snapshot. A service tier that a rule names stands for the standard one, and so holds where the provider
 * names none; a tier without prices of its own keeps those that are standard without the rule.
 */
export function snapshotPrice({ price, context }: AppliedPrice): SnapshotPrice {
  const { standard, services, request } = price;
  const ruled = context.serviceTier === undefined ? undefined : services[context.serviceTier];
  const other = ruled === undefined ? [] : tiersOf(standard);
  const of = (tiers: ContextTiers | undefined): PriceTier[] => (tiers === undefined ? other : tiersOf(tiers));
  return {
    standard: tiersOf(ruled ?? standard),
    flex: of(services.flex),
    priority: of(services.priority),
    batch: of(services.batch),
    request: exact(request),
    factor: exact(factorOf(price, context)),
  };
}

function tiersOf(tiers: ContextTiers): PriceTier[] {
  return tiers.map(({ aboveInputTokens, rates }) => ({
    above_input_tokens: aboveInputTokens,
    rates: ratesOf(rates),
  }));
}

function ratesOf(rates: Rates): SnapshotRates {
  return {
    input: exact(rates.input),
    cached_input: exact(rates.cachedInput),
    cache_write: exact(rates.cacheWrite),
    cache_write_1h: exact(rates.cacheWrite1h),
    audio_input: exact(rates.audioInput),
    image_input: exact(rates.imageInput),
    output: exact(rates.output),
    reasoning: exact(rates.reasoning),
    audio_output: exact(rates.audioOutput),
    image_output: exact(rates.imageOutput),
  };
}

/** The bounds of the configuration and of the book keep every amount below 2^53; one beyond must not be served rounded. */
function exact(amount: bigint): number {
  const number = Number(amount);
  if (!Number.isSafeInteger(number)) throw new RangeError(`a price of ${amount} pico-USD is too high`);
  return number;
}
