/**
 * What governance and configuration need from the outside, as interfaces: the store implements the repositories, the
 * configuration manager implements {@link ConfigControl}, and the admin API is written against both. Types, and the one
 * error that crosses them.
 *
 * Times are milliseconds since 1970. Repositories are asynchronous because a store may be a server elsewhere.
 */

import { wordsFor, type Entity, type EntityKind, type EntityRef, type KeyScope } from './entity.js';
import type { MeterRule } from './meter-rule.js';

/** What a stable id stands for. */
export type LabelKind =
  'provider' | 'model' | 'target' | 'provider_key' | 'key' | 'prices' | 'meter' | EntityKind;

/** A name that needs an id. */
export interface LabelName {
  readonly kind: LabelKind;
  readonly name: string;
}

/** A name with its id. */
export interface Label extends LabelName {
  readonly id: number;
}

/**
 * Persistent ids for names. An id is an unsigned 32-bit integer, never 0, never given to a second name, and drawn from
 * one sequence for all kinds; records and metrics carry it in place of the name.
 */
export interface LabelRepository {
  /** One id per name, in the same order, allocating where a name is new. One transaction. */
  labelIds(names: readonly LabelName[]): Promise<number[]>;
  /** Every label ever given, to turn ids back into names. */
  listLabels(): Promise<Label[]>;
}

/** Limits of one virtual key; an absent one is unlimited. Each is a positive integer. */
export interface KeyLimits {
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  readonly concurrency?: number;
}

/** One accepted secret of a key. */
export interface KeyDigest {
  /** SHA-256 of the whole secret, 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  /** When it stops being accepted; null for never. */
  readonly expiresAt: number | null;
}

/** Where a key is declared. Keys of the file are changed in the file only. */
export type KeySource = 'config' | 'api';

/** A virtual key as stored: digests only, the secret itself is kept nowhere. */
export interface VirtualKeyRow extends KeyScope {
  /** Unsigned 32-bit integer from the sequence of {@link LabelRepository}; never 0, never reused. */
  readonly id: number;
  /** Unique among the keys that are not revoked. */
  readonly name: string;
  /** The newest first; two during a rotation with overlap. */
  readonly digests: readonly KeyDigest[];
  /** Exact names and patterns with one `*`; empty allows nothing, `['*']` everything. */
  readonly models: readonly string[];
  readonly limits: KeyLimits;
  readonly revokedAt: number | null;
  readonly source: KeySource;
  readonly createdAt: number;
  /** Last four characters of the newest secret; empty where only a digest was given. */
  readonly hint: string;
}

/** What a new key is made from. */
export type NewVirtualKey = Pick<
  VirtualKeyRow,
  'name' | 'digests' | 'models' | 'limits' | 'createdAt' | 'hint' | keyof KeyScope
>;

/** What may change on a stored key; an absent property stays as it is. */
export type VirtualKeyChange = Partial<
  Pick<VirtualKeyRow, 'name' | 'digests' | 'models' | 'limits' | 'revokedAt' | 'hint' | keyof KeyScope>
>;

/** Virtual keys of both sources. */
export interface KeyRepository {
  /** All keys, revoked ones included, ascending by id. */
  listKeys(): Promise<VirtualKeyRow[]>;
  findKey(id: number): Promise<VirtualKeyRow | null>;
  /** Stores a key of source `api` under a fresh id. Rejects with {@link NameTaken} when a live key has the name. */
  insertKey(key: NewVirtualKey): Promise<VirtualKeyRow>;
  /** Changes a key of source `api`; null when there is none with this id. Rejects with {@link NameTaken}. */
  updateKey(id: number, change: VirtualKeyChange): Promise<VirtualKeyRow | null>;
  /**
   * Makes the stored keys of source `config` exactly these (ids included), so that lists and reports know them; those
   * no longer among them are marked revoked at `now`. Called after a configuration has been accepted.
   */
  mirrorConfigKeys(keys: readonly VirtualKeyRow[], now: number): Promise<void>;
}

/** A live key has the name already. */
export class NameTaken extends Error {
  constructor(readonly keyName: string) {
    super(`a key named ${JSON.stringify(keyName)} exists already`);
    this.name = 'NameTaken';
  }
}

/** The store cannot be used at the moment, or could not do what it was asked; the message says where and why. */
export class StoreUnavailable extends Error {
  constructor(
    message: string,
    /** The database's own code; empty where it has none. */
    readonly code: string,
  ) {
    super(message);
    this.name = 'StoreUnavailable';
  }
}

/** An entity as stored. */
export interface EntityRow extends Entity {
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Null while it exists; removed ones are kept, so that reports know whom they belonged to. */
  readonly removedAt: number | null;
}

/** Customers, teams, users and tags of both sources. */
export interface EntityRepository {
  /** All of them, removed ones included. */
  listEntities(): Promise<EntityRow[]>;
  /**
   * Stores an entity of source `api`; answers the removed one whose place it takes. Rejects with {@link EntityTaken}
   * when one of the name exists.
   */
  insertEntity(row: EntityRow): Promise<EntityRow | null>;
  /** Replaces an entity of source `api`; answers the one before, null when there is none. */
  updateEntity(row: EntityRow): Promise<EntityRow | null>;
  /** Takes a change back. */
  restoreEntity(ref: EntityRef, before: EntityRow | null): Promise<void>;
  /** Makes the stored entities of source `config` exactly these; those no longer among them are removed at `now`. */
  mirrorConfigEntities(entities: readonly EntityRow[], now: number): Promise<void>;
}

/** An entity of the name exists already. */
export class EntityTaken extends Error {
  constructor(readonly ref: EntityRef) {
    super(`the ${wordsFor(ref)} exists already`);
    this.name = 'EntityTaken';
  }
}

/** Small facts about this installation that outlive the process, such as the digest of the admin token. */
export interface FactRepository {
  fact(name: string): Promise<string | null>;
  setFact(name: string, value: string): Promise<void>;
}

/** Name of the fact that holds the SHA-256 digest of the generated admin token. */
export const ADMIN_TOKEN_FACT = 'admin_token_sha256';

/** Name of the fact that holds the URL of the admin listener of the gateway that was last started on the store. */
export const ADMIN_URL_FACT = 'admin_url';

/**
 * Names of the facts by which another process that has changed keys learns that a running gateway serves them: it writes
 * the time of its change (RFC 3339), and the gateway repeats the latest it has taken over.
 */
export const KEYS_CHANGED_FACT = 'keys_changed_at';
export const KEYS_SERVED_FACT = 'keys_served_at';

/** Everything the store offers to configuration and governance. */
export interface GovernanceStore extends KeyRepository, EntityRepository, LabelRepository, FactRepository {
  /**
   * A number that changes when another process has written to the store; polled to notice keys made by the command line
   * or by another gateway.
   */
  changeCounter(): Promise<number>;
  close(): Promise<void>;
}

/** One thing that is wrong, or worth a warning, in a configuration. */
export interface ConfigProblem {
  /** File as given on the command line; null for the built-in defaults. */
  readonly file: string | null;
  /** From 1; null where no place in the file can be named. */
  readonly line: number | null;
  readonly column: number | null;
  /** Where in the document, as `models.fast.targets[0].provider`; empty for the document itself. */
  readonly path: string;
  readonly severity: 'error' | 'warning';
  /** Stable and machine-readable, as `unknown_provider`. */
  readonly code: string;
  /** What was found and what was expected, in words; never a secret. */
  readonly message: string;
}

/** What a check or a reload came to. */
export interface ConfigReport {
  readonly ok: boolean;
  /** Version now serving; a refused configuration leaves it as it was. */
  readonly version: number;
  readonly problems: readonly ConfigProblem[];
}

/** State of the configuration that is being served. */
export interface ConfigStatus {
  readonly version: number;
  readonly loadedAt: number;
  /** Null for the built-in defaults. */
  readonly sourceFile: string | null;
  /** What was wrong at the last reload; null when it was accepted. */
  readonly lastError: { readonly at: number; readonly problems: readonly ConfigProblem[] } | null;
  /** Warnings of the configuration that is being served. */
  readonly warnings: readonly ConfigProblem[];
}

/** A provider as it may be shown. */
export interface ProviderView {
  readonly id: number;
  readonly name: string;
  readonly dialect: string;
  readonly baseUrl: string;
  readonly auth: string;
  /** Weight and last four characters of each key; never more of it. */
  readonly keys: readonly { readonly id: number; readonly weight: number; readonly hint: string }[];
}

/** What is known of a model, for lists. */
export interface ModelInfoView {
  readonly mode: string;
  /** Tokens of prompt and answer together. */
  readonly contextWindow: number | null;
  readonly maxOutputTokens: number | null;
  /** Who made it. */
  readonly ownedBy: string | null;
  readonly inputModalities: readonly string[];
  readonly outputModalities: readonly string[];
  readonly capabilities: readonly string[];
}

/** A model as it may be shown. */
export interface ModelView {
  readonly id: number;
  readonly name: string;
  readonly aliases: readonly string[];
  /** Null for patterns, and for models that are not in the catalogue. */
  readonly info: ModelInfoView | null;
  readonly targets: readonly {
    readonly id: number;
    readonly provider: string;
    /** Null where the client's own name is sent. */
    readonly upstreamModel: string | null;
    readonly weight: number;
    readonly tier: number;
  }[];
}

/** What can have budgets and rate limits. */
export const METER_OWNER_KINDS = [
  'customer',
  'team',
  'user',
  'tag',
  'key',
  'model',
  'provider',
  'provider_key',
] as const;
export type MeterOwnerKind = (typeof METER_OWNER_KINDS)[number];

/** A budget or rate limit that is in use, and whose it is. */
export interface MeterView {
  readonly id: number;
  readonly owner: {
    readonly kind: MeterOwnerKind;
    readonly name: string;
    /** Null where the owner is no virtual key. */
    readonly keyId: number | null;
  };
  readonly rule: MeterRule;
}

/** What the admin API may ask of the configuration. */
export interface ConfigControl {
  status(): ConfigStatus;
  /** Reads the file again and applies it; concurrent calls are served one after the other. */
  reload(): Promise<ConfigReport>;
  /** Checks a configuration text (YAML or JSON) without applying it. */
  validate(text: string): Promise<ConfigReport>;
  /** Compiles and applies the same configuration with the keys as they are now stored. */
  keysChanged(): Promise<ConfigReport>;
  providers(): readonly ProviderView[];
  models(): readonly ModelView[];
  /** In no particular order. */
  meters(): readonly MeterView[];
}
