/** What access management needs of the store. Times are milliseconds since 1970. */
import type { Permission, Scope } from './access.js';
import type { AuditDraft, AuditEntry } from './audit.js';
import type { Sealed } from './envelope.js';

/** A service token as stored: digests only. */
export interface TokenRow {
  readonly id: number;
  /** Unique among those that are not revoked. */
  readonly name: string;
  /** SHA-256 of the token, 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  /** The token before the last rotation, for as long as it is accepted. */
  readonly previous: { readonly sha256: string; readonly expiresAt: number } | null;
  /** Last four characters. */
  readonly hint: string;
  readonly role: string;
  readonly scope: Scope | null;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  /** On a full minute; null when it was never used. */
  readonly lastUsedAt: number | null;
}

export type NewTokenRow = Omit<TokenRow, 'id' | 'lastUsedAt' | 'revokedAt'>;
export type TokenChange = Partial<Omit<TokenRow, 'id' | 'createdAt' | 'lastUsedAt'>>;

/** A role that was made. */
export interface RoleRow {
  readonly name: string;
  readonly description: string;
  readonly permissions: readonly Permission[];
  readonly createdAt: number;
}

/** Makes the entry for the audit log once the object is known, in whose transaction it is written. */
export type Audited<T> = (object: T) => AuditDraft;

/** Tokens and roles. Every change is written in one transaction with its entry in the audit log. */
export interface AccessRepository {
  /** All tokens, revoked ones included, ascending by id. */
  listTokens(): Promise<TokenRow[]>;
  findToken(id: number): Promise<TokenRow | null>;
  /** The token with this digest, current or previous. */
  tokenByDigest(sha256: string): Promise<TokenRow | null>;
  /** Rejects with {@link TokenNameTaken}. */
  insertToken(token: NewTokenRow, audit: Audited<TokenRow>): Promise<TokenRow>;
  updateToken(id: number, change: TokenChange, audit: Audited<TokenRow>): Promise<TokenRow | null>;
  /** Keeps when a token was used. No change in the sense of the audit log. */
  touchToken(id: number, at: number): Promise<void>;
  /** Ascending by name. */
  listRoles(): Promise<RoleRow[]>;
  findRole(name: string): Promise<RoleRow | null>;
  /** Makes or replaces a role. */
  putRole(role: RoleRow, audit: Audited<RoleRow>): Promise<void>;
  deleteRole(name: string, audit: Audited<RoleRow>): Promise<void>;
}

/** A token that is not revoked has the name already. */
export class TokenNameTaken extends Error {
  constructor(readonly tokenName: string) {
    super(`a token named ${JSON.stringify(tokenName)} exists already`);
    this.name = 'TokenNameTaken';
  }
}

/** What a listing of the audit log is narrowed to. */
export interface AuditFilter {
  /** Entries before this sequence number only: lists begin with the newest. */
  readonly before?: number;
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly actor?: string;
  readonly action?: string;
  readonly object?: string;
  readonly objectId?: string;
  readonly outcome?: string;
}

/** The audit log: entries are added at its end, and never changed. */
export interface AuditRepository {
  append(draft: AuditDraft): Promise<AuditEntry>;
  /** Newest first. */
  listAudit(filter: AuditFilter, limit: number): Promise<AuditEntry[]>;
  /** Whether an entry has this digest. */
  hasHash(hash: string): Promise<boolean>;
  /** Oldest first, those after a sequence number. */
  auditAfter(sequence: number, limit: number): Promise<AuditEntry[]>;
}

/** A key of a provider that the API has stored, sealed. */
export interface ProviderKeyRow {
  readonly id: number;
  readonly provider: string;
  readonly name: string;
  readonly weight: number;
  readonly hint: string;
  readonly sealed: Sealed;
  readonly createdAt: number;
  readonly rotatedAt: number | null;
}

/** Sealed provider keys. A seal is bound to the id, so it is made when the id is known. */
export interface ProviderKeyRepository {
  /** Ascending by id. */
  listProviderKeys(): Promise<ProviderKeyRow[]>;
  findProviderKey(id: number): Promise<ProviderKeyRow | null>;
  insertProviderKey(
    key: Omit<ProviderKeyRow, 'id' | 'sealed'>,
    seal: (id: number) => Sealed,
    audit: Audited<ProviderKeyRow>,
  ): Promise<ProviderKeyRow>;
  updateProviderKey(
    id: number,
    change: Partial<Pick<ProviderKeyRow, 'weight' | 'hint' | 'sealed' | 'rotatedAt'>>,
    audit: Audited<ProviderKeyRow>,
  ): Promise<ProviderKeyRow | null>;
  deleteProviderKey(id: number, audit: Audited<ProviderKeyRow>): Promise<ProviderKeyRow | null>;
  /** Seals all anew in one transaction, and tells how many there were. */
  resealProviderKeys(reseal: (key: ProviderKeyRow) => Sealed, audit: Audited<number>): Promise<number>;
}

/** A stored key of a provider, as the data plane needs it. */
export interface OpenedProviderKey {
  readonly provider: string;
  readonly name: string;
  readonly weight: number;
  readonly secret: string;
}

/** The master key in use, and what is sealed. */
export interface SecretsState {
  /** Fingerprint; null while there is none. */
  readonly masterKey: string | null;
  readonly origin: 'config' | 'file' | null;
  readonly sealed: number;
  /** Of these, sealed with another master key than the current one. */
  readonly outdated: number;
}

/** What a rotation of the master key came to. */
export interface Resealed {
  readonly masterKey: string;
  readonly sealed: number;
}

/** What the admin API may ask of the keeper of stored secrets. */
export interface SecretsControl {
  /** Seals with the current master key, which is made if there has never been one. */
  seal(secret: string, row: Pick<ProviderKeyRow, 'id' | 'provider'>): Sealed;
  state(): Promise<SecretsState>;
  rotate(audit: Audited<Resealed>): Promise<Resealed>;
}

/** A provider has a stored key of this name. */
export class ProviderKeyNameTaken extends Error {
  constructor(provider: string, keyName: string) {
    super(`the provider ${provider} has a stored key named ${JSON.stringify(keyName)} already`);
    this.name = 'ProviderKeyNameTaken';
  }
}

/** The answer to a request that named an idempotency key. */
export interface AnswerRow {
  /** Digest of the actor and the key. */
  readonly id: string;
  /** Tells whether a later request is the same; made with a key that is not stored. */
  readonly requestMac: string;
  /** Null while the request runs. */
  readonly sealedAnswer: string | null;
  readonly createdAt: number;
}

/** Answers that are kept to be repeated. */
export interface AnswerRepository {
  /** Stores the row unless there is one of its id that is newer than `since`; answers that one, or null. */
  claimAnswer(
    row: AnswerRow,
    since: { done: number; running: number },
    most: number,
  ): Promise<AnswerRow | null>;
  keepAnswer(id: string, sealedAnswer: string): Promise<void>;
  dropAnswer(id: string): Promise<void>;
}
