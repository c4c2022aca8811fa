/**
 * Stored secrets and the master keys they are sealed with. The keys are taken from the configuration of the moment, or
 * from the file in the data directory; they are in memory only while they are used.
 */
import { type MasterKey, type Sealed, UnusableSecret, Vault } from '../governance/envelope.js';
import type { RandomBytes } from '../governance/key-secret.js';
import type {
  Audited,
  OpenedProviderKey,
  ProviderKeyRepository,
  ProviderKeyRow,
  Resealed,
  SecretsControl,
  SecretsState,
} from '../governance/access-ports.js';
import { MasterKeyFile } from './master-key-file.js';

/** Where master keys come from. */
export interface MasterKeySource {
  readonly dataDir: string;
  readonly secrets: { readonly masterKey: MasterKey | null; readonly previous: readonly MasterKey[] };
}

/** What the keeper works with. */
export interface KeeperParts {
  readonly store: ProviderKeyRepository;
  /** The configuration that is being served. */
  readonly source: () => MasterKeySource;
  readonly random: RandomBytes;
  /** Told of a master key that was made, which somebody must back up. */
  readonly onNewFile: (path: string) => void;
}

/** Seals, opens and seals anew. */
export class SecretKeeper implements SecretsControl {
  constructor(private readonly parts: KeeperParts) {}

  /**
   * Every stored key of a provider, opened with the master keys of a configuration. Throws `UnknownMasterKey` where one is
   * sealed with another.
   */
  async openAll(source: MasterKeySource): Promise<OpenedProviderKey[]> {
    const rows = await this.parts.store.listProviderKeys();
    if (rows.length === 0) return [];
    const vault = this.vaultOf(source);
    return rows.map((row) => ({
      provider: row.provider,
      name: row.name,
      weight: row.weight,
      secret: opened(vault, row),
    }));
  }

  seal(secret: string, row: Pick<ProviderKeyRow, 'id' | 'provider'>): Sealed {
    const source = this.parts.source();
    if (source.secrets.masterKey === null && new MasterKeyFile(source.dataDir).read() === null) {
      const file = new MasterKeyFile(source.dataDir);
      file.add(this.parts.random);
      this.parts.onNewFile(file.path);
    }
    return this.vaultOf(source).seal(secret, placeOf(row));
  }

  async state(): Promise<SecretsState> {
    const source = this.parts.source();
    const fromFile = source.secrets.masterKey === null ? new MasterKeyFile(source.dataDir).read() : null;
    const current = source.secrets.masterKey ?? fromFile?.[0] ?? null;
    const rows = await this.parts.store.listProviderKeys();
    const outdated = rows.filter(({ sealed }) => sealed.master !== current?.fingerprint).length;
    const origin = source.secrets.masterKey === null ? 'file' : 'config';
    return {
      masterKey: current?.fingerprint ?? null,
      origin: current && origin,
      sealed: rows.length,
      outdated,
    };
  }

  /**
   * Wraps every secret with the current master key. Where the key is a file of ours, it is replaced by a fresh one; where
   * it is configured, the new one is there already, and the old one under `previous`.
   */
  async rotate(audit: Audited<Resealed>): Promise<Resealed> {
    const source = this.parts.source();
    const file = source.secrets.masterKey === null ? new MasterKeyFile(source.dataDir) : null;
    file?.add(this.parts.random);
    const vault = this.vaultOf(source);
    const { fingerprint } = vault.current;
    const sealed = await this.parts.store.resealProviderKeys(
      (row) => vault.rewrap(row.sealed),
      (count) => audit({ masterKey: fingerprint, sealed: count }),
    );
    file?.keepCurrent();
    return { masterKey: fingerprint, sealed };
  }

  private vaultOf({ dataDir, secrets }: MasterKeySource): Vault {
    const keys =
      secrets.masterKey === null
        ? (new MasterKeyFile(dataDir).read() ?? [])
        : [secrets.masterKey, ...secrets.previous];
    return new Vault(keys, this.parts.random);
  }
}

/** A seal that does not open with its own master key was tampered with, or belongs to another row. */
function opened(vault: Vault, row: ProviderKeyRow): string {
  try {
    return vault.open(row.sealed, placeOf(row));
  } catch (error) {
    if (error instanceof UnusableSecret) throw error;
    const name = JSON.stringify(row.name);
    throw new UnusableSecret(
      `the stored key ${name} of the provider ${row.provider} does not open: the database was altered`,
    );
  }
}

/** What a seal is bound to. */
function placeOf({ id, provider }: Pick<ProviderKeyRow, 'id' | 'provider'>): string {
  return `provider_key/${id}/${provider}`;
}
