/**
 * The configuration as the rest of the program sees it: checked, references resolved, defaults filled in, units
 * converted. Times are milliseconds, sizes bytes.
 */

import type { CredentialSource } from '../governance/credential-source.js';
import type { Entity, KeyScope } from '../governance/entity.js';
import type { MasterKey } from '../governance/envelope.js';
import type { MeterRule } from '../governance/meter-rule.js';
import type { KeyDigest, KeyLimits } from '../governance/ports.js';
import type { PriceRule } from '../prices/index.js';
import type { Dialect, Paths, Quirk } from '../providers/row.js';
import type { SocketAddress } from './scalars.js';

/** A whole configuration. */
export interface Config {
  readonly start: StartConfig;
  readonly admin: AdminConfig;
  /** Never empty: with nothing else it is the built-in demo provider. */
  readonly providers: readonly ProviderConfig[];
  readonly models: readonly ModelConfig[];
  /** Customers, teams, users and tags of the file. */
  readonly entities: readonly Entity[];
  readonly keys: readonly DeclaredKey[];
  /** Prices of the operator's own, the first that covers a model first. */
  readonly prices: readonly PriceRule[];
  /** Limits of keys that have none of their own. */
  readonly keyDefaults: KeyLimits;
  readonly settings: DataPlaneSettings;
  readonly drainTimeoutMs: number;
  readonly drainLagMs: number;
  readonly reloadOnChange: boolean;
  readonly logLevel: LogLevel;
  readonly usageDetailDays: number;
  /** Null keeps the sums behind the reports for good. */
  readonly usageReportDays: number | null;
  readonly secrets: SecretsConfig;
  readonly usageSync: UsageSync;
  /** Directory of the database, absolute. */
  readonly dataDir: string;
  /** Where the store is kept; null for SQLite in {@link Config.dataDir}. */
  readonly postgres: PostgresConfig | null;
}

/** A PostgreSQL server, and how it is used. */
export interface PostgresConfig {
  /** Name or address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | null;
  readonly database: string;
  readonly schema: string;
  readonly maxConnections: number;
  /** Null for a connection that is not encrypted. */
  readonly tls: { readonly verify: 'name' | 'chain' | 'nothing'; readonly caPem: string | null } | null;
}

/** When records in the journal reach the disk. */
export type UsageSync = 'always' | 'interval' | 'never';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What the data plane is started with; a change takes a restart. */
export interface StartConfig {
  readonly listeners: readonly ListenerConfig[];
  readonly workers: number;
  readonly maxConnections: number;
}

/** One data listener. */
export interface ListenerConfig {
  readonly address: SocketAddress;
  readonly tls: { readonly certificatePem: string; readonly privateKeyPem: string } | null;
}

/** The admin listener. */
export interface AdminConfig {
  readonly address: SocketAddress;
  /** Null when none is configured: the generated one in the store holds. */
  readonly token: string | null;
  /** Further names the listener may be reached by, lower case. */
  readonly allowedHosts: readonly string[];
  readonly metricsAccess: 'loopback' | 'token';
}

/** What stored secrets are sealed with. */
export interface SecretsConfig {
  /** Null where none is configured: the one in the data directory holds. */
  readonly masterKey: MasterKey | null;
  /** Keys that were in use before; they open, and never seal. */
  readonly previous: readonly MasterKey[];
}

/** One provider. */
export interface ProviderConfig {
  readonly name: string;
  readonly dialect: Dialect;
  /** Null for the built-in demo provider, whose address is known once it runs. */
  readonly baseUrl: string | null;
  readonly auth: AuthConfig;
  /** How the credential is obtained and sent, in the words of the file. */
  readonly authText: string;
  readonly keys: readonly ProviderKeyConfig[];
  /** Where the secret of the only key is fetched from; null where the keys are what they are. */
  readonly credential: CredentialSource | null;
  /** Names in lower case. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly usageInStream: boolean;
  readonly quirks: readonly Quirk[];
  /** Paths that differ from those of the dialect. */
  readonly paths: Paths;
  /** What bodies name as the model where the path does; null for the model's name. */
  readonly modelInBody: string | null;
  /** Azure's API version; null for other dialects. */
  readonly apiVersion: string | null;
  /** Most tokens to ask for where the API demands a bound and neither request nor model has one. */
  readonly defaultMaxTokens: number | null;
  readonly extraCaPem: string | null;
  readonly timeouts: ProviderTimeoutsConfig;
  readonly maxIdlePerWorker: number;
  readonly rules: readonly MeterRule[];
  /** Where the key was found when the file names none; null when it does. */
  readonly foundIn: string | null;
}

/** How a request to a provider carries the credential. */
export type AuthConfig =
  | { readonly kind: 'bearer' }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'query'; readonly name: string }
  | { readonly kind: 'aws_sig_v4'; readonly region: string; readonly service: string }
  | { readonly kind: 'none' };

/** One key. For `aws_sig_v4` the secret is a JSON text with the parts of the credential. */
export interface ProviderKeyConfig {
  readonly name: string;
  readonly secret: string;
  readonly weight: number;
  readonly rules: readonly MeterRule[];
}

/** Milliseconds; 0 turns a limit off, except `idle`. */
export interface ProviderTimeoutsConfig {
  readonly connect: number;
  readonly firstByte: number;
  readonly betweenChunks: number;
  readonly total: number;
  readonly idle: number;
}

/** One name that clients may ask for. */
export interface ModelConfig {
  readonly name: string;
  readonly aliases: readonly string[];
  /** Ascending by tier. */
  readonly targets: readonly TargetConfig[];
  readonly rules: readonly MeterRule[];
}

export interface TargetConfig {
  readonly provider: string;
  /** Null keeps the name asked for; `*` sends what the pattern's star matched. */
  readonly upstreamModel: string | null;
  readonly weight: number;
  readonly tier: number;
  /** Most tokens the model can generate; null where that is not known. */
  readonly maxOutputTokens: number | null;
}

/** A virtual key declared in the file. */
export interface DeclaredKey extends KeyScope {
  readonly name: string;
  readonly digests: readonly KeyDigest[];
  readonly models: readonly string[];
  /** Defaults filled in. */
  readonly limits: KeyLimits;
  readonly hint: string;
}

/** Bounds of the data plane; the snapshot's settings by other names. */
export interface DataPlaneSettings {
  readonly maxRequestBodyBytes: number;
  readonly maxResponseBodyBytes: number;
  readonly maxEventBytes: number;
  readonly headerTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly maxRequestsPerConnection: number;
  readonly maxAuthFailuresPerMinute: number;
  readonly requireKey: boolean;
  readonly translateUnsupported: 'drop' | 'reject';
  readonly unpriced: 'refuse_under_budget' | 'refuse' | 'allow';
}

/** Name of the built-in provider that answers when no other is configured. */
export const DEMO_PROVIDER = 'demo';
