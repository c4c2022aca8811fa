/** The tables of access management: tokens, roles, the audit log, sealed provider keys, answers to be repeated. */
import type { Generated } from 'kysely';
import type { Ddl } from './ddl.js';

/** Service tokens of the admin API. */
export interface AdminTokenTable {
  id: Generated<number>;
  name: string;
  sha256: string;
  previous_sha256: string | null;
  previous_expires_at: number | null;
  hint: string;
  role: string;
  /** JSON; null for everything. */
  scope: string | null;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
  last_used_at: number | null;
}

/** Roles that were made. */
export interface AdminRoleTable {
  name: string;
  description: string;
  /** JSON array of strings. */
  permissions: string;
  created_at: number;
}

/** The audit log. */
export interface AuditTable {
  sequence: number;
  at_ms: number;
  actor_kind: string;
  actor_id: string;
  actor_name: string;
  actor_role: string;
  address: string | null;
  request_id: string | null;
  action: string;
  object: string;
  object_id: string;
  /** Canonical JSON. */
  before_state: string | null;
  after_state: string | null;
  outcome: string;
  previous_hash: string;
  hash: string;
}

/** Keys of providers, sealed. */
export interface ProviderKeyTable {
  id: Generated<number>;
  provider: string;
  name: string;
  weight: number;
  hint: string;
  master: string;
  wrapped_key: string;
  box: string;
  created_at: number;
  rotated_at: number | null;
}

/** Answers to requests that named an idempotency key. */
export interface AdminAnswerTable {
  id: string;
  request_mac: string;
  sealed_answer: string | null;
  created_at: number;
}

/** Makes the tables. */
export const accessTables = (ddl: Ddl): string =>
  [tokens(ddl), audit(ddl), providerKeys(ddl), answers(ddl)].join('\n');

const tokens = (ddl: Ddl): string =>
  [
    ddl.table(
      'admin_token',
      `
  id ${ddl.autoId},
  name ${ddl.text} not null,
  sha256 ${ddl.text} not null unique,
  previous_sha256 ${ddl.text} unique,
  previous_expires_at ${ddl.integer},
  hint ${ddl.text} not null,
  role ${ddl.text} not null,
  scope ${ddl.text},
  created_at ${ddl.integer} not null,
  expires_at ${ddl.integer},
  revoked_at ${ddl.integer},
  last_used_at ${ddl.integer}
`,
    ),
    'create unique index admin_token_live_name on admin_token (name) where revoked_at is null;',
    ddl.table(
      'admin_role',
      `
  name ${ddl.text} primary key,
  description ${ddl.text} not null,
  permissions ${ddl.text} not null,
  created_at ${ddl.integer} not null
`,
      'keyed',
    ),
  ].join('\n');

const audit = (ddl: Ddl): string =>
  [
    ddl.table(
      'audit',
      `
  sequence ${ddl.integer} primary key,
  at_ms ${ddl.integer} not null,
  actor_kind ${ddl.text} not null,
  actor_id ${ddl.text} not null,
  actor_name ${ddl.text} not null,
  actor_role ${ddl.text} not null,
  address ${ddl.text},
  request_id ${ddl.text},
  action ${ddl.text} not null,
  object ${ddl.text} not null,
  object_id ${ddl.text} not null,
  before_state ${ddl.text},
  after_state ${ddl.text},
  outcome ${ddl.text} not null,
  previous_hash ${ddl.text} not null unique,
  hash ${ddl.text} not null
`,
    ),
    'create index audit_object on audit (object, object_id);',
  ].join('\n');

const providerKeys = (ddl: Ddl): string =>
  ddl.table(
    'provider_key',
    `
  id ${ddl.autoId},
  provider ${ddl.text} not null,
  name ${ddl.text} not null,
  weight ${ddl.integer} not null,
  hint ${ddl.text} not null,
  master ${ddl.text} not null,
  wrapped_key ${ddl.text} not null,
  box ${ddl.text} not null,
  created_at ${ddl.integer} not null,
  rotated_at ${ddl.integer},
  unique (provider, name)
`,
  );

const answers = (ddl: Ddl): string =>
  [
    ddl.table(
      'admin_answer',
      `
  id ${ddl.text} primary key,
  request_mac ${ddl.text} not null,
  sealed_answer ${ddl.text},
  created_at ${ddl.integer} not null
`,
      'keyed',
    ),
    'create index admin_answer_created_at on admin_answer (created_at);',
  ].join('\n');
