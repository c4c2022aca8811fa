/** Schema of `store`: where keys, accounts and usage are kept. */

import { DEFAULTS } from './defaults.js';
import { integer, path, secret, text } from './schema-scalars.js';
import { mapping, optional } from './schema-shapes.js';

/** Fewest connections: one for what is written, one for reports. */
const MIN_CONNECTIONS = 2;
/** Most connections: a server takes 100 unless told otherwise. */
const MAX_CONNECTIONS = 500;

const Postgres = mapping(
  {
    url: secret(
      '`postgres://USER:PASSWORD@HOST:PORT/DATABASE`, best as `env:DATABASE_URL`. With `?host=/DIRECTORY` it leads to a Unix ' +
        'socket. `?sslmode=` is `verify-full` unless given or the server is on this machine; `verify-ca`, `require` and ' +
        '`disable` make sure of less.',
    ),
    schema: optional(
      text('schema-name', 'Schema of the tables, made at the first start. It holds nothing else.', {
        default: DEFAULTS.postgresSchema,
      }),
    ),
    max_connections: optional(
      integer(
        MIN_CONNECTIONS,
        MAX_CONNECTIONS,
        'Connections of this gateway, at most. Half of them are for reports.',
        { default: DEFAULTS.postgresConnections },
      ),
    ),
    ca_file: optional(
      path('PEM file with the authorities that may vouch for the server, in place of the usual ones.'),
    ),
  },
  'Keep the store in PostgreSQL 13 or newer, in place of the database in `data_dir`. Several gateways may share it.',
);

/** The whole section. */
export const StoreSection = mapping(
  { postgres: optional(Postgres) },
  'Where keys and usage are kept: in a database in `data_dir` unless this says otherwise. Changes take a restart.',
);
