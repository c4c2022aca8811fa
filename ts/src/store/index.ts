/** The only folder with SQL. */
export { IncompatibleDatabase } from './migrations.js';
export { DATABASE_FILE } from './sqlite.js';
export { openStore, Store } from './store.js';
