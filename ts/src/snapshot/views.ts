/** Providers and models as they may be shown: no secret, at most its last four characters. */

import type { Config, ModelConfig } from '../config/config.js';
import { hintOf } from '../governance/key-secret.js';
import type { ModelInfoView, ModelView, ProviderView } from '../governance/ports.js';
import { makerOf } from '../providers/models.js';
import { knownFacts } from './known-models.js';
import { providerKeyLabel, targetLabels, type LabelIds } from './labels.js';

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

function infoView(model: ModelConfig, config: Config): ModelInfoView | null {
  const known = knownFacts(model, config);
  if (known === null) return null;
  const { name, ...facts } = known;
  return { ...facts, ownedBy: makerOf(name) };
}
