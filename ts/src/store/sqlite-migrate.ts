/** Migrations in SQLite: the version lives in `user_version`. */
import { SQLITE_DDL } from './ddl.js';
import { IncompatibleDatabase, MIGRATIONS, refuseNewer } from './migrations.js';
import type { SqliteConnection } from './sqlite.js';

/** Marks a file as ours (SQLite's `application_id`, "SLCE"), so that a foreign database is never migrated. */
const APPLICATION_ID = 0x534c4345;

/** Brings the database to `target` (the newest by default), or throws {@link IncompatibleDatabase}. */
export function migrate(
  connection: SqliteConnection,
  path: string,
  target: number = MIGRATIONS.length,
): void {
  if (checkedVersion(connection, path) === target) return;
  connection.transaction(() => {
    const from = checkedVersion(connection, path);
    for (const step of MIGRATIONS.slice(from, target)) connection.exec(step.sql(SQLITE_DDL));
    connection.exec(`pragma application_id = ${APPLICATION_ID}`);
    connection.exec(`pragma user_version = ${Math.max(from, target)}`);
  });
}

function checkedVersion(connection: SqliteConnection, path: string): number {
  const version = connection.pragmaNumber('user_version');
  if (isForeign(connection, version)) {
    throw new IncompatibleDatabase(`${path} is a database of another program; choose another data_dir`);
  }
  refuseNewer(version, path);
  return version;
}

/** Ours are marked from the first migration on; an empty file is nobody's yet. */
function isForeign(connection: SqliteConnection, version: number): boolean {
  if (connection.pragmaNumber('application_id') === APPLICATION_ID) return false;
  return version !== 0 || connection.all('select 1 as one from sqlite_master limit 1', []).length > 0;
}
