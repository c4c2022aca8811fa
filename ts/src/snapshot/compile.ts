/** Compiles configuration and keys into the snapshot the data plane works from. Pure: same input, same snapshot. */

import type {
  KeyLimits as SnapshotLimits,
  Model,
  Provider,
  Settings,
  Snapshot,
  StartOptions,
  Target,
  VirtualKey,
} from '../bridge/generated/snapshot.js';
import type { Config, DataPlaneSettings, ModelConfig, ProviderConfig } from '../config/config.js';
import { formatAddress } from '../config/scalars.js';
import type { KeyLimits, VirtualKeyRow } from '../governance/ports.js';
import { pricesVersion } from '../prices/index.js';
import { modelInfo, speltModels, targetFacts } from './known-models.js';
import {
  configKeyLabel,
  providerKeyLabel,
  speltTargetLabels,
  targetLabels,
  type LabelIds,
} from './labels.js';
import { targetPrice } from './prices.js';

/** Everything a snapshot is made from. */
export interface SnapshotInput {
  readonly config: Config;
  /** Keys of the store; those it mirrors from a file are left out in favour of the file's own. */
  readonly keys: readonly VirtualKeyRow[];
  readonly ids: LabelIds;
  readonly version: number;
  /** Base URL of the running demo provider; needed where the configuration uses it. */
  readonly demoBaseUrl: string | null;
  /** Secrets that were fetched, by provider; one that is missing has not come yet. */
  readonly fetched?: ReadonlyMap<string, string>;
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
    keys: keysOf(input),
  };
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

/** The keys of the file as rows, as lists and the store's mirror show them. */
export function configKeyRows(config: Config, ids: LabelIds, now: number): VirtualKeyRow[] {
  return config.keys.map((key) => ({
    ...key,
    id: ids.id('key', configKeyLabel(key.name)),
    revokedAt: null,
    source: 'config',
    createdAt: now,
  }));
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
    keys: provider.keys.map(({ name, secret, weight }) => ({
      id: ids.id('provider_key', providerKeyLabel(provider.name, name)),
      secret: provider.credential === null ? secret : (input.fetched?.get(provider.name) ?? NOT_FETCHED),
      weight,
    })),
    headers: provider.headers.map(({ name, value }) => ({ name, value })),
    usage_in_stream: provider.usageInStream,
    ...(provider.quirks.length > 0 && { quirks: [...provider.quirks] }),
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
  };
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

/** Keys of the file first, then those of the store by id. A secret leads to one key: the file's, where both have it. */
function keysOf({ config, keys, ids }: SnapshotInput): VirtualKey[] {
  const declared = configKeyRows(config, ids, 0);
  const taken = new Set(declared.flatMap(({ digests }) => digests.map(({ sha256 }) => sha256)));
  const stored = keys
    .filter(({ source, revokedAt }) => source === 'api' && revokedAt === null)
    .map((key) => ({ ...key, digests: key.digests.filter(({ sha256 }) => !taken.has(sha256)) }))
    .map((key) => ({ ...key, limits: { ...config.keyDefaults, ...key.limits } }))
    .toSorted((a, b) => a.id - b.id);
  return [...declared, ...stored].map(keyOf);
}

function keyOf({ id, digests, models, limits }: VirtualKeyRow): VirtualKey {
  return {
    id,
    digests: digests.map(({ sha256, expiresAt }) => ({
      sha256,
      ...(expiresAt !== null && { expires_at_ms: expiresAt }),
    })),
    models: [...models],
    limits: limitsOf(limits),
  };
}

function limitsOf(limits: KeyLimits): SnapshotLimits {
  return {
    ...(limits.requestsPerMinute !== undefined && { requests_per_minute: limits.requestsPerMinute }),
    ...(limits.tokensPerMinute !== undefined && { tokens_per_minute: limits.tokensPerMinute }),
    ...(limits.concurrency !== undefined && { concurrency: limits.concurrency }),
  };
}
