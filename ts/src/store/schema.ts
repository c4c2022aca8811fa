/** The tables of the store, as Kysely sees them. The SQL that creates them is in `migrations.ts`. */
import type { EntityTable } from './entity-tables.js';
import type { Generated } from 'kysely';
import type {
  AdminAnswerTable,
  AdminRoleTable,
  AdminTokenTable,
  AuditTable,
  ProviderKeyTable,
} from './access-tables.js';

/** Stable ids of names; one sequence for all kinds. */
export interface LabelTable {
  id: Generated<number>;
  kind: string;
  name: string;
}

/** Virtual keys of both sources. */
export interface VirtualKeyTable {
  id: number;
  name: string;
  source: string;
  /** JSON array of strings. */
  models: string;
  requests_per_minute: number | null;
  tokens_per_minute: number | null;
  concurrency: number | null;
  hint: string;
  created_at: number;
  revoked_at: number | null;
  owner_kind: string | null;
  owner_name: string | null;
  /** JSON: tags, allow lists, networks, budgets, rate limits, metadata. */
  scope: string;
}

/** Accepted secrets of virtual keys, newest first by `position`. */
export interface VirtualKeyDigestTable {
  key_id: number;
  position: number;
  sha256: string;
  expires_at: number | null;
}

/** Facts about the installation. */
export interface FactTable {
  name: string;
  value: string;
}

/** One run of the gateway, and how far its segments have been added to the rollups. */
export interface UsageBootTable {
  id: Generated<number>;
  boot_id: string;
  rolled_sequence: number;
  /** Bytes of its stored segments. */
  segment_bytes: Generated<number>;
}

/** One drained batch of usage records, as it came. */
export interface UsageSegmentTable {
  id: Generated<number>;
  boot: number;
  sequence: number;
  /** Finish time of the earliest record, milliseconds since 1970. */
  first_ms: number;
  /** Finish time of the latest record, milliseconds since 1970. */
  last_ms: number;
  count: number;
  records: Uint8Array;
  /** Pico-USD of each record, 8 bytes little-endian, -1 without a price; null where records say it themselves. */
  costs: Uint8Array | null;
  /** Version of the prices; null likewise. */
  price_version: string | null;
}

/** Sums per minute (or hour), key, model, provider, route and status class. */
export interface UsageRollupTable {
  /** Minutes since 1970, the first of the interval. */
  minute: number;
  key_id: number;
  model_id: number;
  provider_id: number;
  route: number;
  status_class: number;
  requests: number;
  input_tokens: number;
  cached_input_tokens: number;
  cache_write_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
  cache_write_1h_tokens: number;
  audio_input_tokens: number;
  image_input_tokens: number;
  audio_output_tokens: number;
  image_output_tokens: number;
  errors: number;
  aborted: number;
  estimated: number;
  unpriced: number;
  cost_microusd: number;
  cost_rest_picousd: number;
  duration_us: number;
  gateway_us: number;
}

/** PostgreSQL only: the one row that SQLite keeps in its file's head. */
export interface StoreTable {
  id: number;
  version: number;
  /** Counts the transactions that other gateways need to notice. */
  changes: number;
}

/** All tables. */
export interface Schema {
  label: LabelTable;
  virtual_key: VirtualKeyTable;
  virtual_key_digest: VirtualKeyDigestTable;
  entity: EntityTable;
  fact: FactTable;
  usage_boot: UsageBootTable;
  usage_segment: UsageSegmentTable;
  usage_rollup: UsageRollupTable;
  usage_rollup_hour: UsageRollupTable;
  admin_token: AdminTokenTable;
  admin_role: AdminRoleTable;
  audit: AuditTable;
  provider_key: ProviderKeyTable;
  admin_answer: AdminAnswerTable;
  sluice_store: StoreTable;
}
