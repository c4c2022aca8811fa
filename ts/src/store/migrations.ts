/**
 * Forward-only migrations. The version lives in SQLite's `user_version`; all that are missing run in one transaction
 * that holds the write lock, so that two processes starting at once migrate once and a failure leaves nothing half done.
 */
import type { SqliteConnection } from './sqlite.js';

/** Marks a file as ours (SQLite's `application_id`, "SLCE"), so that a foreign database is never migrated. */
const APPLICATION_ID = 0x534c4345;

const GOVERNANCE = `
create table label (
  id integer primary key autoincrement check (id between 1 and 4294967295),
  kind text not null,
  name text not null,
  unique (kind, name)
) strict;

create table virtual_key (
  id integer primary key references label (id),
  name text not null,
  source text not null check (source in ('config', 'api')),
  models text not null,
  requests_per_minute integer,
  tokens_per_minute integer,
  concurrency integer,
  hint text not null,
  created_at integer not null,
  revoked_at integer
) strict;
create unique index virtual_key_live_name on virtual_key (name) where revoked_at is null;

create table virtual_key_digest (
  key_id integer not null references virtual_key (id) on delete cascade,
  position integer not null,
  sha256 text not null,
  expires_at integer,
  primary key (key_id, position)
) strict, without rowid;

create table fact (
  name text primary key,
  value text not null
) strict, without rowid;
`;

const USAGE = `
create table usage_boot (
  id integer primary key autoincrement,
  boot_id text not null unique,
  rolled_sequence integer not null
) strict;

create table usage_segment (
  id integer primary key,
  boot integer not null references usage_boot (id),
  sequence integer not null,
  first_ms integer not null,
  last_ms integer not null,
  count integer not null,
  records blob not null,
  unique (boot, sequence)
) strict;
create index usage_segment_first_ms on usage_segment (first_ms);

create table usage_rollup (
  minute integer not null,
  key_id integer not null,
  model_id integer not null,
  provider_id integer not null,
  route integer not null,
  status_class integer not null,
  requests integer not null,
  input_tokens integer not null,
  cached_input_tokens integer not null,
  cache_write_tokens integer not null,
  output_tokens integer not null,
  reasoning_tokens integer not null,
  errors integer not null,
  aborted integer not null,
  estimated integer not null,
  duration_us integer not null,
  gateway_us integer not null,
  primary key (minute, key_id, model_id, provider_id, route, status_class)
) strict, without rowid;
`;

/** The same sums per hour, beginning with what there is. */
const USAGE_BY_HOUR = `
create table usage_rollup_hour (
  minute integer not null,
  key_id integer not null,
  model_id integer not null,
  provider_id integer not null,
  route integer not null,
  status_class integer not null,
  requests integer not null,
  input_tokens integer not null,
  cached_input_tokens integer not null,
  cache_write_tokens integer not null,
  output_tokens integer not null,
  reasoning_tokens integer not null,
  errors integer not null,
  aborted integer not null,
  estimated integer not null,
  duration_us integer not null,
  gateway_us integer not null,
  primary key (minute, key_id, model_id, provider_id, route, status_class)
) strict, without rowid;

insert into usage_rollup_hour
  select minute / 60 * 60, key_id, model_id, provider_id, route, status_class,
    sum(requests), sum(input_tokens), sum(cached_input_tokens), sum(cache_write_tokens), sum(output_tokens),
    sum(reasoning_tokens), sum(errors), sum(aborted), sum(estimated), sum(duration_us), sum(gateway_us)
  from usage_rollup
  group by 1, 2, 3, 4, 5, 6;
`;

/** Tokens of kinds that have prices of their own. What was summed before had none that were known. */
const TOKENS_BY_KIND = ['usage_rollup', 'usage_rollup_hour']
  .flatMap((table) =>
    [
      'cache_write_1h_tokens',
      'audio_input_tokens',
      'image_input_tokens',
      'audio_output_tokens',
      'image_output_tokens',
    ].map((column) => `alter table ${table} add column ${column} integer not null default 0;`),
  )
  .join('\n');

/**
 * What requests cost. A sum is kept as whole millionths of a USD and, apart from them, the sum of the rests below, in
 * pico-USD: as one number it would not fit beyond nine million USD. What was booked before has no price.
 */
const COSTS = [
  'alter table usage_segment add column costs blob;',
  'alter table usage_segment add column price_version text;',
  ...['usage_rollup', 'usage_rollup_hour'].flatMap((table) => [
    `alter table ${table} add column unpriced integer not null default 0;`,
    `alter table ${table} add column cost_microusd integer not null default 0;`,
    `alter table ${table} add column cost_rest_picousd integer not null default 0;`,
    `update ${table} set unpriced = requests;`,
  ]),
].join('\n');

/** One step; its version is its place in the list, from 1. Never edited once released, only appended to. */
export const MIGRATIONS: readonly { readonly name: string; readonly sql: string }[] = [
  { name: 'labels, virtual keys and facts', sql: GOVERNANCE },
  { name: 'usage segments and rollups', sql: USAGE },
  { name: 'rollups by hour', sql: USAGE_BY_HOUR },
  { name: 'tokens by kind', sql: TOKENS_BY_KIND },
  { name: 'costs', sql: COSTS },
];

/** The database cannot be used by this version of the program. */
export class IncompatibleDatabase extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'IncompatibleDatabase';
  }
}

/** Brings the database to `target` (the newest by default), or throws {@link IncompatibleDatabase}. */
export function migrate(
  connection: SqliteConnection,
  path: string,
  target: number = MIGRATIONS.length,
): void {
  if (checkedVersion(connection, path) === target) return;
  connection.transaction(() => {
    const from = checkedVersion(connection, path);
    for (const step of MIGRATIONS.slice(from, target)) connection.exec(step.sql);
    connection.exec(`pragma application_id = ${APPLICATION_ID}`);
    connection.exec(`pragma user_version = ${Math.max(from, target)}`);
  });
}

function checkedVersion(connection: SqliteConnection, path: string): number {
  const version = connection.pragmaNumber('user_version');
  if (isForeign(connection, version)) {
    throw new IncompatibleDatabase(`${path} is a database of another program; choose another data_dir`);
  }
  if (version > MIGRATIONS.length) {
    throw new IncompatibleDatabase(
      `${path} has schema version ${version}, this version of sluice knows up to ${MIGRATIONS.length}; ` +
        'run the newer sluice that wrote it, or restore a backup made before the upgrade',
    );
  }
  return version;
}

/** Ours are marked from the first migration on; an empty file is nobody's yet. */
function isForeign(connection: SqliteConnection, version: number): boolean {
  if (connection.pragmaNumber('application_id') === APPLICATION_ID) return false;
  return version !== 0 || connection.all('select 1 as one from sqlite_master limit 1', []).length > 0;
}
