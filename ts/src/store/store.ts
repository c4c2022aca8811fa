/** The store as one object: what governance, configuration, usage and the admin API ask of it. */
import type { EntityRef } from '../governance/entity.js';
import type {
  EntityRow,
  GovernanceStore,
  Label,
  LabelName,
  NewVirtualKey,
  VirtualKeyChange,
  VirtualKeyRow,
} from '../governance/ports.js';
import type {
  AccessRepository,
  AnswerRepository,
  AuditRepository,
  ProviderKeyRepository,
} from '../governance/access-ports.js';
import type { UsageLedger } from '../usage/ports.js';
import { AccessStore } from './access.js';
import { AnswerStore } from './answers.js';
import { AuditStore } from './audit.js';
import type { Database } from './database.js';
import { EntityStore } from './entities.js';
import { KeyStore } from './keys.js';
import { FactStore, LabelStore } from './labels.js';
import { ProviderKeyStore } from './provider-keys.js';
import { PostgresDatabase } from './postgres-database.js';
import type { PostgresPlace } from './postgres.js';
import { openReader } from './reader.js';
import { SqliteDatabase } from './sqlite-database.js';
import { migrate } from './sqlite-migrate.js';
import { openDatabase } from './sqlite.js';
import { StoredUsage } from './usage.js';

/** Everything that is kept on disk. */
export class Store implements GovernanceStore {
  /** Usage: batches and sums. */
  readonly usage: UsageLedger;
  /** Tokens and roles of the admin API. */
  readonly access: AccessRepository;
  readonly audit: AuditRepository;
  /** Keys of providers, sealed. */
  readonly providerKeys: ProviderKeyRepository;
  /** Answers of the admin API that may be asked for again. */
  readonly answers: AnswerRepository;
  private readonly entities: EntityStore;
  private readonly keys: KeyStore;
  private readonly labels: LabelStore;
  private readonly facts: FactStore;

  constructor(private readonly database: Database) {
    this.entities = new EntityStore(database);
    this.keys = new KeyStore(database);
    this.labels = new LabelStore(database);
    this.facts = new FactStore(database);
    this.usage = new StoredUsage(database);
    this.access = new AccessStore(database);
    this.audit = new AuditStore(database);
    this.providerKeys = new ProviderKeyStore(database);
    this.answers = new AnswerStore(database);
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

  /** See {@link KeyStore.discardKey}. */
  discardKey(id: number): Promise<void> {
    return this.keys.discardKey(id);
  }

  mirrorConfigKeys(keys: readonly VirtualKeyRow[], now: number): Promise<void> {
    return this.keys.mirrorConfigKeys(keys, now);
  }

  listEntities(): Promise<EntityRow[]> {
    return this.entities.listEntities();
  }

  insertEntity(row: EntityRow): Promise<EntityRow | null> {
    return this.entities.insertEntity(row);
  }

  updateEntity(row: EntityRow): Promise<EntityRow | null> {
    return this.entities.updateEntity(row);
  }

  restoreEntity(ref: EntityRef, before: EntityRow | null): Promise<void> {
    return this.entities.restoreEntity(ref, before);
  }

  mirrorConfigEntities(entities: readonly EntityRow[], now: number): Promise<void> {
    return this.entities.mirrorConfigEntities(entities, now);
  }

  fact(name: string): Promise<string | null> {
    return this.facts.fact(name);
  }

  setFact(name: string, value: string): Promise<void> {
    return this.facts.setFact(name, value);
  }

  changeCounter(): Promise<number> {
    return this.database.changeCounter();
  }

  close(): Promise<void> {
    return this.database.close();
  }
}

/**
 * Opens the store of a data directory or, with `postgres`, the one kept there, creating and migrating it as needed.
 * Rejects with {@link IncompatibleDatabase} when it belongs to a newer version or to another program, and with a
 * `StoreUnavailable` when PostgreSQL cannot be used.
 */
export async function openStore(dataDir: string, postgres: PostgresPlace | null = null): Promise<Store> {
  return new Store(postgres === null ? openSqlite(dataDir) : await PostgresDatabase.open(postgres));
}

function openSqlite(dataDir: string): Database {
  const { connection, path } = openDatabase(dataDir);
  try {
    migrate(connection, path);
  } catch (error) {
    connection.raw.close();
    throw error;
  }
  return new SqliteDatabase(connection, openReader(path, connection));
}
