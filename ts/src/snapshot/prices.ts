/** What requests cost, by the target that served them: all that a usage record says about the model it was asked of. */

import type { Config, ModelConfig } from '../config/config.js';
import { appliedPrice, type AppliedPrice, pricesVersion } from '../prices/index.js';
import { speltModels, STAR } from './known-models.js';
import { speltTargetLabels, targetLabels, type LabelIds } from './labels.js';

/** Prices in use. */
export interface TargetPrices {
  /** Names the prices: of the built-in book, and of the operator's own. */
  readonly version: string;
  /** By id of the target; null for one without a price. */
  readonly byTarget: ReadonlyMap<number, AppliedPrice | null>;
}

/** The prices of every target of a configuration. */
export function compilePrices(config: Config, ids: LabelIds): TargetPrices {
  const byTarget = new Map<number, AppliedPrice | null>();
  const providers = new Map(config.providers.map((provider) => [provider.name, provider]));
  const add = (model: ModelConfig, labels: readonly string[]): void => {
    for (const [at, { provider: name, upstreamModel }] of model.targets.entries()) {
      const provider = providers.get(name);
      if (provider === undefined) continue;
      const asked = upstreamModel === STAR ? null : upstreamModel;
      byTarget.set(ids.id('target', labels[at] ?? ''), appliedPrice(provider, asked, config.prices));
    }
  };
  for (const model of config.models) add(model, targetLabels(model));
  for (const one of speltModels(config)) add(one.model, speltTargetLabels(one));
  return { version: pricesVersion(config.prices), byTarget };
}

/** These prices, and those of targets that were before: a long request may end after its target has gone. */
export function withFormer(prices: TargetPrices, former: TargetPrices | null): TargetPrices {
  if (former === null) return prices;
  return { version: prices.version, byTarget: new Map([...former.byTarget, ...prices.byTarget]) };
}
