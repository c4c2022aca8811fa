/** The table of customers, teams, users and tags, and what virtual keys have since there are these. */
import type { Ddl } from './ddl.js';

/** Customers, teams, users and tags; those that were removed stay, so that reports know whom they belonged to. */
export interface EntityTable {
  kind: string;
  name: string;
  source: string;
  parent_kind: string | null;
  parent_name: string | null;
  /** JSON: allow lists, budgets, rate limits, metadata, whether it is disabled. */
  settings: string;
  created_at: number;
  updated_at: number;
  removed_at: number | null;
}

/** Makes the table, and gives keys an owner. */
export const entityTables = (ddl: Ddl): string =>
  [
    ddl.table(
      'entity',
      `
  kind ${ddl.text} not null check (kind in ('customer', 'team', 'user', 'tag')),
  name ${ddl.text} not null,
  source ${ddl.text} not null check (source in ('config', 'api')),
  parent_kind ${ddl.text},
  parent_name ${ddl.text},
  settings ${ddl.text} not null,
  created_at ${ddl.integer} not null,
  updated_at ${ddl.integer} not null,
  removed_at ${ddl.integer},
  primary key (kind, name)
`,
      'keyed',
    ),
    `alter table virtual_key add column owner_kind ${ddl.text};`,
    `alter table virtual_key add column owner_name ${ddl.text};`,
    `alter table virtual_key add column scope ${ddl.text} not null default '{}';`,
  ].join('\n');
