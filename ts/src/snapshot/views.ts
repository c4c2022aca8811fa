/** Providers and models as they may be shown: no secret, at most its last four characters. */

import type { Config, ModelConfig } from '../config/config.js';
import { hintOf } from '../governance/key-secret.js';
import type {
  MeterOwnerKind,
  MeterView,
  ModelInfoView,
  ModelView,
  ProviderView,
} from '../governance/ports.js';
import { makerOf } from '../providers/models.js';
import { knownFacts } from './known-models.js';
import {
  configKeyLabel,
  type Governed,
  type LabelIds,
  providerKeyLabel,
  ruleOwners,
  targetLabels,
} from './labels.js';
import { meterIds, type RuleOwner } from './meters.js';

/** Shown in place of the address of the built-in demo provider. */
const BUILT_IN = 'built in';

/** The providers of a configuration. */
export function providerViews(config: Config, ids: LabelIds): ProviderView[] {
  return config.providers.map(({ name, dialect, baseUrl, authText, keys, credential }) => ({
    id: ids.id('provider', name),
    name,
    dialect,
    baseUrl: baseUrl ?? BUILT_IN,
    auth: authText.toLowerCase(),
    keys: keys.map((key) => ({
      id: ids.id('provider_key', providerKeyLabel(name, key.name)),
      weight: key.weight,
      hint: credential === null && authText !== 'aws_sigv4' ? hintOf(key.secret) : '',
    })),
  }));
}

/** The models of a configuration. */
export function modelViews(config: Config, ids: LabelIds): ModelView[] {
  return config.models.map((model) => {
    const labels = targetLabels(model);
    return {
      id: ids.id('model', model.name),
      name: model.name,
      aliases: model.aliases,
      info: infoView(model, config),
      targets: model.targets.map(({ provider, upstreamModel, weight, tier }, at) => ({
        id: ids.id('target', labels[at] ?? ''),
        provider,
        upstreamModel,
        weight,
        tier,
      })),
    };
  });
}

/** Budgets and rate limits, and whose they are. */
export function meterViews(governed: Governed, ids: LabelIds): MeterView[] {
  return ruleOwners(governed).flatMap((owner) => {
    const meters = meterIds(owner, ids);
    const view = ownerView(owner, ids);
    return owner.rules.map((rule, at) => ({ id: meters[at] ?? 0, owner: view, rule }));
  });
}

function ownerView({ kind, name, identity }: RuleOwner, ids: LabelIds): MeterView['owner'] {
  if (kind !== 'key') return { kind: kind.replace(' ', '_') as MeterOwnerKind, name, keyId: null };
  const isDeclared = identity === configKeyLabel(name);
  return { kind, name, keyId: isDeclared ? ids.id('key', identity) : Number(identity) };
}

function infoView(model: ModelConfig, config: Config): ModelInfoView | null {
  const known = knownFacts(model, config);
  if (known === null) return null;
  const { name, ...facts } = known;
  return { ...facts, ownedBy: makerOf(name) };
}
