/** The store as one object: what governance, configuration, usage and the admin API ask of it. */
import { Kysely } from 'kysely';
import type {
  GovernanceStore,
  Label,
  LabelName,
  NewVirtualKey,
  VirtualKeyChange,
  VirtualKeyRow,
} from '../governance/ports.js';
import type { UsageLedger } from '../usage/ports.js';
import { SqliteKeys } from './keys.js';
import { SqliteFacts, SqliteLabels } from './labels.js';
import { migrate } from './migrations.js';
import { openReader, type Reader } from './reader.js';
import type { Schema } from './schema.js';
import { LibsqlDialect, openDatabase, type SqliteConnection } from './sqlite.js';
import { SqliteUsageLedger } from './usage.js';

/** Everything that is kept on disk. */
export class Store implements GovernanceStore {
  /** Usage: batches and sums. */
  readonly usage: UsageLedger;
  private readonly db: Kysely<Schema>;
  private readonly keys: SqliteKeys;
  private readonly labels: SqliteLabels;
  private readonly facts: SqliteFacts;

  constructor(
    private readonly connection: SqliteConnection,
    private readonly reader: Reader,
  ) {
    this.db = new Kysely<Schema>({ dialect: new LibsqlDialect(connection) });
    this.keys = new SqliteKeys(this.db);
    this.labels = new SqliteLabels(this.db);
    this.facts = new SqliteFacts(this.db);
    this.usage = new SqliteUsageLedger(this.db, connection, reader);
  }

  labelIds(names: readonly LabelName[]): Promise<number[]> {
    return this.labels.labelIds(names);
  }

  listLabels(): Promise<Label[]> {
    return this.labels.listLabels();
  }

  listKeys(): Promise<VirtualKeyRow[]> {
    return this.keys.listKeys();
  }

  findKey(id: number): Promise<VirtualKeyRow | null> {
    return this.keys.findKey(id);
  }

  insertKey(key: NewVirtualKey): Promise<VirtualKeyRow> {
    return this.keys.insertKey(key);
  }

  updateKey(id: number, change: VirtualKeyChange): Promise<VirtualKeyRow | null> {
    return this.keys.updateKey(id, change);
  }

  /** See {@link SqliteKeys.discardKey}. */
  discardKey(id: number): Promise<void> {
    return this.keys.discardKey(id);
  }

  mirrorConfigKeys(keys: readonly VirtualKeyRow[], now: number): Promise<void> {
    return this.keys.mirrorConfigKeys(keys, now);
  }

  fact(name: string): Promise<string | null> {
    return this.facts.fact(name);
  }

  setFact(name: string, value: string): Promise<void> {
    return this.facts.setFact(name, value);
  }

  changeCounter(): Promise<number> {
    return this.db.connection().execute(async () => this.connection.pragmaNumber('data_version'));
  }

  close(): Promise<void> {
    this.reader.close();
    return this.db.destroy();
  }
}

/**
 * Opens the store of a data directory, creating and migrating it as needed. Rejects with
 * {@link IncompatibleDatabase} when the file belongs to a newer version or to another program.
 */
export async function openStore(dataDir: string): Promise<Store> {
  const { connection, path } = openDatabase(dataDir);
  try {
    migrate(connection, path);
  } catch (error) {
    connection.raw.close();
    throw error;
  }
  return new Store(connection, openReader(path, connection));
}
