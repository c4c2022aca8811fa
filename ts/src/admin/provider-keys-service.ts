/**
 * Changes to stored keys of providers, from the request to the data plane: sealed, stored, opened, applied. Changes run
 * one after the other; one that the data plane refuses is taken back, and the log says so.
 */
import type { Audited, ProviderKeyRow } from '../governance/access-ports.js';
import { hintOf } from '../governance/key-secret.js';
import { AdminError } from './errors.js';
import { reasons } from './served-changes.js';
import type { AdminDependencies } from './ports.js';

/** Most stored keys of all providers. */
export const MAX_PROVIDER_KEYS = 1_000;

/** Ways of authentication in which the key is sent as it is. */
const WITH_KEYS = /^(bearer|header:|query:)/;

/** What a caller says about a key. */
export interface NewProviderKey {
  readonly provider: string;
  readonly name: string;
  readonly secret: string;
  readonly weight: number;
}

/** Makes the entries for the log: of the change, and of its being taken back. */
export interface ProviderKeyAudit {
  readonly done: (before: ProviderKeyRow | null) => Audited<ProviderKeyRow>;
  readonly takenBack: Audited<ProviderKeyRow>;
}

type Dependencies = Pick<AdminDependencies, 'store' | 'config' | 'now' | 'secrets'>;

/** The service. */
export class ProviderKeysService {
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly deps: Dependencies) {}

  list(): Promise<ProviderKeyRow[]> {
    return this.deps.store.providerKeys.listProviderKeys();
  }

  async find(id: number): Promise<ProviderKeyRow> {
    const key = await this.deps.store.providerKeys.findProviderKey(id);
    if (key !== null) return key;
    throw new AdminError(
      'provider_key_not_found',
      `there is no stored provider key with id ${id}`,
      'params.id',
    );
  }

  create({ secret, ...key }: NewProviderKey, audit: ProviderKeyAudit): Promise<ProviderKeyRow> {
    return this.exclusive(async () => {
      this.requireProvider(key.provider);
      if ((await this.list()).length >= MAX_PROVIDER_KEYS) {
        throw new AdminError(
          'too_many_objects',
          `there are already ${MAX_PROVIDER_KEYS} stored provider keys`,
        );
      }
      const { providerKeys } = this.deps.store;
      const fresh = { ...key, hint: hintOf(secret), createdAt: this.deps.now(), rotatedAt: null };
      const seal = (id: number) => this.deps.secrets.seal(secret, { id, provider: key.provider });
      const row = await providerKeys.insertProviderKey(fresh, seal, audit.done(null));
      await this.apply(() => providerKeys.deleteProviderKey(row.id, audit.takenBack));
      return row;
    });
  }

  /** A new secret, a new weight, or both. */
  change(
    id: number,
    { secret, weight }: { readonly secret?: string; readonly weight?: number },
    check: (key: ProviderKeyRow) => void,
    audit: ProviderKeyAudit,
  ): Promise<ProviderKeyRow> {
    return this.exclusive(async () => {
      const before = await this.find(id);
      check(before);
      const renewed = secret === undefined ? {} : this.renewed(before, secret);
      const change = { ...renewed, ...(weight !== undefined && { weight }) };
      const { providerKeys } = this.deps.store;
      const row = await providerKeys.updateProviderKey(id, change, audit.done(before));
      if (row === null) return this.find(id);
      await this.apply(() => providerKeys.updateProviderKey(id, before, audit.takenBack));
      return row;
    });
  }

  remove(id: number, check: (key: ProviderKeyRow) => void, audit: ProviderKeyAudit): Promise<ProviderKeyRow> {
    return this.exclusive(async () => {
      const before = await this.find(id);
      check(before);
      const { providerKeys } = this.deps.store;
      await providerKeys.deleteProviderKey(id, audit.done(before));
      const report = await this.deps.config.keysChanged();
      if (report.ok) return before;
      const message = `the key is deleted, and will go with the next accepted configuration: ${reasons(report)}`;
      throw new AdminError('config_refused', message);
    });
  }

  private renewed(row: ProviderKeyRow, secret: string) {
    return { sealed: this.deps.secrets.seal(secret, row), hint: hintOf(secret), rotatedAt: this.deps.now() };
  }

  private requireProvider(name: string): void {
    const provider = this.deps.config.providers().find((one) => one.name === name);
    if (!provider) {
      const found = JSON.stringify(name);
      throw new AdminError(
        'invalid_request',
        `found ${found}, expected a provider of the configuration`,
        'body.provider',
      );
    }
    if (WITH_KEYS.test(provider.auth)) return;
    const message = `the provider ${name} takes no keys: it authenticates by ${provider.auth}`;
    throw new AdminError('invalid_request', message, 'body.provider');
  }

  private exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => {});
    return done;
  }

  private async apply(undo: () => Promise<unknown>): Promise<void> {
    const report = await this.deps.config.keysChanged().catch(async (error: unknown) => {
      await undo();
      throw error;
    });
    if (report.ok) return;
    await undo();
    throw new AdminError(
      'config_refused',
      `the data plane refused the change, which was taken back: ${reasons(report)}`,
    );
  }
}
