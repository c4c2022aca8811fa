/**
 * Forward-only migrations, one list for every database. All that are missing run in one transaction that holds a lock,
 * so that two processes starting at once migrate once and a failure leaves nothing half done.
 */
import { accessTables } from './access-tables.js';
import type { Ddl } from './ddl.js';
import { entityTables } from './entity-tables.js';

const governance = (ddl: Ddl): string =>
  [
    ddl.table(
      'label',
      `
  id ${ddl.autoId} check (id between 1 and 4294967295),
  kind ${ddl.text} not null,
  name ${ddl.text} not null,
  unique (kind, name)
`,
    ),
    ddl.table(
      'virtual_key',
      `
  id ${ddl.integer} primary key references label (id),
  name ${ddl.text} not null,
  source ${ddl.text} not null check (source in ('config', 'api')),
  models ${ddl.text} not null,
  requests_per_minute ${ddl.integer},
  tokens_per_minute ${ddl.integer},
  concurrency ${ddl.integer},
  hint ${ddl.text} not null,
  created_at ${ddl.integer} not null,
  revoked_at ${ddl.integer}
`,
    ),
    'create unique index virtual_key_live_name on virtual_key (name) where revoked_at is null;',
    ddl.table(
      'virtual_key_digest',
      `
  key_id ${ddl.integer} not null references virtual_key (id) on delete cascade,
  position ${ddl.integer} not null,
  sha256 ${ddl.text} not null,
  expires_at ${ddl.integer},
  primary key (key_id, position)
`,
      'keyed',
    ),
    ddl.table('fact', `name ${ddl.text} primary key, value ${ddl.text} not null`, 'keyed'),
  ].join('\n');

const usage = (ddl: Ddl): string =>
  [
    ddl.table(
      'usage_boot',
      `
  id ${ddl.autoId},
  boot_id ${ddl.text} not null unique,
  rolled_sequence ${ddl.integer} not null
`,
    ),
    ddl.table(
      'usage_segment',
      `
  id ${ddl.rowId},
  boot ${ddl.integer} not null references usage_boot (id),
  sequence ${ddl.integer} not null,
  first_ms ${ddl.integer} not null,
  last_ms ${ddl.integer} not null,
  count ${ddl.integer} not null,
  records ${ddl.blob} not null,
  unique (boot, sequence)
`,
    ),
    'create index usage_segment_first_ms on usage_segment (first_ms);',
    rollupTable(ddl, 'usage_rollup'),
  ].join('\n');

const rollupTable = (ddl: Ddl, name: string): string =>
  ddl.table(
    name,
    `
  minute ${ddl.integer} not null,
  key_id ${ddl.integer} not null,
  model_id ${ddl.integer} not null,
  provider_id ${ddl.integer} not null,
  route ${ddl.integer} not null,
  status_class ${ddl.integer} not null,
  requests ${ddl.integer} not null,
  input_tokens ${ddl.integer} not null,
  cached_input_tokens ${ddl.integer} not null,
  cache_write_tokens ${ddl.integer} not null,
  output_tokens ${ddl.integer} not null,
  reasoning_tokens ${ddl.integer} not null,
  errors ${ddl.integer} not null,
  aborted ${ddl.integer} not null,
  estimated ${ddl.integer} not null,
  duration_us ${ddl.integer} not null,
  gateway_us ${ddl.integer} not null,
  primary key (minute, key_id, model_id, provider_id, route, status_class)
`,
    'keyed',
  );

/** The same sums per hour, beginning with what there is. */
const usageByHour = (ddl: Ddl): string => `
${rollupTable(ddl, 'usage_rollup_hour')}
insert into usage_rollup_hour
  select minute / 60 * 60, key_id, model_id, provider_id, route, status_class,
    sum(requests), sum(input_tokens), sum(cached_input_tokens), sum(cache_write_tokens), sum(output_tokens),
    sum(reasoning_tokens), sum(errors), sum(aborted), sum(estimated), sum(duration_us), sum(gateway_us)
  from usage_rollup
  group by 1, 2, 3, 4, 5, 6;
`;

/** Tokens of kinds that have prices of their own. What was summed before had none that were known. */
const tokensByKind = (ddl: Ddl): string =>
  ['usage_rollup', 'usage_rollup_hour']
    .flatMap((table) =>
      [
        'cache_write_1h_tokens',
        'audio_input_tokens',
        'image_input_tokens',
        'audio_output_tokens',
        'image_output_tokens',
      ].map((column) => `alter table ${table} add column ${column} ${ddl.integer} not null default 0;`),
    )
    .join('\n');

/**
 * What requests cost. A sum is kept as whole millionths of a USD and, apart from them, the sum of the rests below, in
 * pico-USD: as one number it would not fit beyond nine million USD. What was booked before has no price.
 */
const costs = (ddl: Ddl): string =>
  [
    `alter table usage_segment add column costs ${ddl.blob};`,
    `alter table usage_segment add column price_version ${ddl.text};`,
    ...['usage_rollup', 'usage_rollup_hour'].flatMap((table) => [
      `alter table ${table} add column unpriced ${ddl.integer} not null default 0;`,
      `alter table ${table} add column cost_microusd ${ddl.integer} not null default 0;`,
      `alter table ${table} add column cost_rest_picousd ${ddl.integer} not null default 0;`,
      `update ${table} set unpriced = requests;`,
    ]),
  ].join('\n');

/** The size of each run's segments, kept in step with them: to sum it up anew would take a look at each. */
const segmentSizes = (ddl: Ddl): string => `
alter table usage_boot add column segment_bytes ${ddl.integer} not null default 0;
update usage_boot set segment_bytes = coalesce(
  (select sum(length(records) + coalesce(length(costs), 0)) from usage_segment where boot = usage_boot.id), 0);
`;

/** One step, for either database; several statements with semicolons between them. */
export interface Migration {
  readonly name: string;
  readonly sql: (ddl: Ddl) => string;
}

/** A step's version is its place in the list, from 1. Never edited once released, only appended to. */
export const MIGRATIONS: readonly Migration[] = [
  { name: 'labels, virtual keys and facts', sql: governance },
  { name: 'usage segments and rollups', sql: usage },
  { name: 'rollups by hour', sql: usageByHour },
  { name: 'tokens by kind', sql: tokensByKind },
  { name: 'costs', sql: costs },
  { name: 'sizes of segments', sql: segmentSizes },
  { name: 'access management', sql: accessTables },
  { name: 'customers, teams, users and tags', sql: entityTables },
];

/** The database cannot be used by this version of the program. */
export class IncompatibleDatabase extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'IncompatibleDatabase';
  }
}

/** Refuses a version that this program does not know; `place` names the database. */
export function refuseNewer(version: number, place: string): void {
  if (version <= MIGRATIONS.length) return;
  throw new IncompatibleDatabase(
    `${place} has schema version ${version}, this version of sluice knows up to ${MIGRATIONS.length}; ` +
      'run the newer sluice that wrote it, or restore a backup made before the upgrade',
  );
}
