/** Compiles configuration and keys into the snapshot the data plane works from. Pure: same input, same snapshot. */

import type {
  Meter,
  Model,
  Provider,
  Settings,
  Snapshot,
  StartOptions,
  Target,
} from '../bridge/generated/snapshot.js';
import type { Config, DataPlaneSettings, ModelConfig, ProviderConfig } from '../config/config.js';
import { formatAddress } from '../config/scalars.js';
import { Entities, type Entity } from '../governance/entity.js';
import type { VirtualKeyRow } from '../governance/ports.js';
import { pricesVersion } from '../prices/index.js';
import { compileKeys } from './keys.js';
import type { Call } from '../providers/row.js';
import { modelInfo, speltModels, targetFacts } from './known-models.js';
import { providerKeyLabel, ruleOwners, speltTargetLabels, targetLabels, type LabelIds } from './labels.js';
import { compileMeters, meterIds, modelOwner, providerKeyOwner, providerOwner } from './meters.js';
import { targetPrice } from './prices.js';

/** Everything a snapshot is made from. */
export interface SnapshotInput {
  readonly config: Config;
  /** Keys of the store; those it mirrors from a file are left out in favour of the file's own. */
  readonly keys: readonly VirtualKeyRow[];
  /** Entities of the store, without those of the file. */
  readonly entities?: readonly Entity[];
  readonly ids: LabelIds;
  readonly version: number;
  /** Base URL of the running demo provider; needed where the configuration uses it. */
  readonly demoBaseUrl: string | null;
  /** Secrets that were fetched, by provider; one that is missing has not come yet. */
  readonly fetched?: ReadonlyMap<string, string>;
  /** What the open windows of meters have used up, by id of the meter. */
  readonly used?: ReadonlyMap<number, NonNullable<Meter['used']>>;
}

/** The snapshot for the data plane. */
export function compileSnapshot(input: SnapshotInput): Snapshot {
  const { config, ids, version } = input;
  return {
    version,
    prices: ids.id('prices', pricesVersion(config.prices)),
    settings: settingsOf(config.settings),
    providers: config.providers.map((provider) => providerOf(provider, input)),
    models: [
      ...config.models.map((model) => modelOf(model, model.name, targetLabels(model), input)),
      ...speltModels(config).map((one) =>
        modelOf(one.model, one.pattern.name, speltTargetLabels(one), input),
      ),
    ],
    keys: compileKeys(config, input.keys, entitiesOf(input), input.ids),
    meters: metersOf(input),
  };
}

function entitiesOf({ config, entities = [] }: SnapshotInput): Entities {
  return new Entities([...config.entities, ...entities]);
}

function metersOf({ config, keys, entities = [], ids, used }: SnapshotInput): Meter[] {
  return compileMeters(ruleOwners({ config, keys, entities }), ids).map(({ meter }) => {
    const before = used?.get(meter.id);
    return before === undefined ? meter : { ...meter, used: before };
  });
}

/** What the data plane is started with. */
export function startOptions(config: Config): StartOptions {
  return {
    listeners: config.start.listeners.map(({ address, tls }) => ({
      address: formatAddress(address),
      ...(tls !== null && {
        tls: { certificate_pem: tls.certificatePem, private_key_pem: tls.privateKeyPem },
      }),
    })),
    workers: config.start.workers,
    max_connections: config.start.maxConnections,
  };
}

function settingsOf(settings: DataPlaneSettings): Settings {
  return {
    max_request_body_bytes: settings.maxRequestBodyBytes,
    max_response_body_bytes: settings.maxResponseBodyBytes,
    max_event_bytes: settings.maxEventBytes,
    header_timeout_ms: settings.headerTimeoutMs,
    body_timeout_ms: settings.bodyTimeoutMs,
    idle_timeout_ms: settings.idleTimeoutMs,
    write_timeout_ms: settings.writeTimeoutMs,
    max_requests_per_connection: settings.maxRequestsPerConnection,
    max_auth_failures_per_minute: settings.maxAuthFailuresPerMinute,
    require_key: settings.requireKey,
    translate_unsupported: settings.translateUnsupported,
    unpriced: settings.unpriced,
  };
}

function providerOf(provider: ProviderConfig, input: SnapshotInput): Provider {
  const { ids, demoBaseUrl } = input;
  const baseUrl = provider.baseUrl ?? demoBaseUrl;
  if (baseUrl === null) throw new RangeError('the demo provider is configured but does not run');
  return {
    id: ids.id('provider', provider.name),
    name: provider.name,
    dialect: provider.dialect,
    base_url: baseUrl,
    auth: provider.auth,
    keys: provider.keys.map(({ name, secret, weight, rules }) => ({
      id: ids.id('provider_key', providerKeyLabel(provider.name, name)),
      secret: provider.credential === null ? secret : (input.fetched?.get(provider.name) ?? NOT_FETCHED),
      weight,
      ...listed(meterIds(providerKeyOwner(providerKeyLabel(provider.name, name), rules), ids)),
    })),
    headers: provider.headers.map(({ name, value }) => ({ name, value })),
    usage_in_stream: provider.usageInStream,
    ...(provider.quirks.length > 0 && { quirks: [...provider.quirks] }),
    ...(Object.keys(provider.paths).length > 0 && {
      paths: Object.entries(provider.paths).map(([call, path]) => ({ call: call as Call, path })),
    }),
    ...(provider.modelInBody !== null && { model_in_body: provider.modelInBody }),
    ...(provider.apiVersion !== null && { api_version: provider.apiVersion }),
    ...(provider.defaultMaxTokens !== null && { default_max_tokens: provider.defaultMaxTokens }),
    ...(provider.extraCaPem !== null && { extra_ca_pem: provider.extraCaPem }),
    timeouts: {
      connect_ms: provider.timeouts.connect,
      first_byte_ms: provider.timeouts.firstByte,
      between_chunks_ms: provider.timeouts.betweenChunks,
      total_ms: provider.timeouts.total,
    },
    idle_timeout_ms: provider.timeouts.idle,
    max_idle_per_worker: provider.maxIdlePerWorker,
    ...listed(meterIds(providerOwner(provider.name, provider.rules), ids)),
  };
}

function listed(meters: number[]): { meters?: number[] } {
  return meters.length > 0 ? { meters } : {};
}

/**
 * Stands for a credential that has not been fetched yet, so that everything else can be served: the provider refuses it.
 * Amazon's credentials are JSON, others a token; this is both.
 */
const NOT_FETCHED = '{"access_key_id":"not-fetched-yet","secret_access_key":"not-fetched-yet"}';

/** A model, under the id of the one in the configuration that it is or is a part of. */
function modelOf(
  model: ModelConfig,
  configured: string,
  labels: readonly string[],
  { config, ids }: SnapshotInput,
): Model {
  const info = modelInfo(model, config);
  const providerOfTarget = (name: string) => config.providers.find((provider) => provider.name === name);
  return {
    id: ids.id('model', configured),
    name: model.name,
    aliases: [...model.aliases],
    ...(info !== undefined && { info }),
    ...listed(meterIds(modelOwner(configured, model.rules), ids)),
    targets: model.targets.map((target, at) => ({
      id: ids.id('target', labels[at] ?? ''),
      provider: ids.id('provider', target.provider),
      ...(target.upstreamModel !== null && { upstream_model: target.upstreamModel }),
      weight: target.weight,
      tier: target.tier,
      ...targetFacts(target, providerOfTarget(target.provider)),
      ...pricePart(targetPrice(target, providerOfTarget(target.provider), config.prices)),
    })),
  };
}

function pricePart(price: Target['price']): Pick<Target, 'price'> {
  return price === undefined ? {} : { price };
}
