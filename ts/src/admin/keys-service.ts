/**
 * Changes to virtual keys, from the request to the data plane: stored, compiled, applied. Changes run one after the
 * other; one that the data plane refuses is taken back, so that what is stored is what is served.
 */
import { type KeyRequest, mintKey, changeKey, revokeKey, rotateKey } from '../governance/virtual-key.js';
import type { ConfigReport, VirtualKeyChange, VirtualKeyRow } from '../governance/ports.js';
import { AdminError } from './errors.js';
import type { AdminDependencies } from './ports.js';

/** A key, and its secret this one time. */
export interface KeyWithSecret {
  readonly key: VirtualKeyRow;
  readonly secret: string;
}

/** What a rotation asks for. */
export interface Rotation {
  readonly overlapMs: number;
  readonly expiresAt?: number | null;
}

type Dependencies = Pick<AdminDependencies, 'store' | 'config' | 'now' | 'random'>;

/** The service. */
export class KeysService {
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly deps: Dependencies) {}

  /** All keys, ascending by id. */
  list(): Promise<VirtualKeyRow[]> {
    return this.deps.store.listKeys();
  }

  async find(id: number): Promise<VirtualKeyRow> {
    const key = await this.deps.store.findKey(id);
    if (!key) throw new AdminError('key_not_found', `there is no key with id ${id}`, 'params.id');
    return key;
  }

  create(request: KeyRequest): Promise<KeyWithSecret> {
    return this.exclusive(async () => {
      const { row, secret } = mintKey(request, this.deps.random, this.deps.now());
      const key = await this.deps.store.insertKey(row);
      await this.apply(() => this.deps.store.discardKey(key.id));
      return { key, secret };
    });
  }

  /** `request` is given the key as it is, and tells what to change. */
  change(id: number, request: (key: VirtualKeyRow) => Partial<KeyRequest>): Promise<VirtualKeyRow> {
    return this.exclusive(async () => {
      const key = await this.liveKey(id);
      return this.update(key, changeKey(key, request(key), this.deps.now()));
    });
  }

  rotate(id: number, rotation: Rotation): Promise<KeyWithSecret> {
    return this.exclusive(async () => {
      const key = await this.liveKey(id);
      const { change, secret } = rotateKey(key, rotation, this.deps.random, this.deps.now());
      return { key: await this.update(key, change), secret };
    });
  }

  /** Revoking again changes nothing and is no error. */
  revoke(id: number): Promise<VirtualKeyRow> {
    return this.exclusive(async () => {
      const key = await this.ownKey(id);
      return key.revokedAt === null ? this.update(key, revokeKey(key, this.deps.now())) : key;
    });
  }

  private exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => {});
    return done;
  }

  private async ownKey(id: number): Promise<VirtualKeyRow> {
    const key = await this.find(id);
    if (key.source === 'api') return key;
    const name = JSON.stringify(key.name);
    throw new AdminError(
      'key_owned_by_config',
      `key ${name} is declared in the configuration file; change it there`,
    );
  }

  private async liveKey(id: number): Promise<VirtualKeyRow> {
    const key = await this.ownKey(id);
    if (key.revokedAt === null) return key;
    throw new AdminError(
      'key_revoked',
      `key ${JSON.stringify(key.name)} is revoked for good; create another`,
    );
  }

  private async update(key: VirtualKeyRow, change: VirtualKeyChange): Promise<VirtualKeyRow> {
    const changed = await this.deps.store.updateKey(key.id, change);
    if (!changed)
      throw new AdminError('key_not_found', `there is no key with id ${key.id} any more`, 'params.id');
    await this.apply(() => this.deps.store.updateKey(key.id, key));
    return changed;
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

/** The errors of a report, in one line. */
export function reasons(report: ConfigReport): string {
  const errors = report.problems.filter((problem) => problem.severity === 'error');
  return errors.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; ');
}
