/** Changes to virtual keys, from the request to the data plane: stored, compiled, applied. */
import { type Actor, reachesTeam } from '../governance/access.js';
import { Entities, type KeyScope, wordsFor } from '../governance/entity.js';
import { type KeyRequest, mintKey, changeKey, revokeKey, rotateKey } from '../governance/virtual-key.js';
import type { VirtualKeyChange, VirtualKeyRow } from '../governance/ports.js';
import { teamOf } from './entities-service.js';
import { AdminError } from './errors.js';
import type { AdminDependencies } from './ports.js';
import type { ServedChanges } from './served-changes.js';

/** A key, and its secret this one time. */
export interface KeyWithSecret {
  readonly before: VirtualKeyRow | null;
  readonly key: VirtualKeyRow;
  readonly secret: string;
}

/** A key before and after a change. */
export interface ChangedKey {
  readonly before: VirtualKeyRow;
  readonly key: VirtualKeyRow;
}

/** What a rotation asks for. */
export interface Rotation {
  readonly overlapMs: number;
  readonly expiresAt?: number | null;
}

/** Who changes a key, and what is demanded of it. */
export interface KeyDemand {
  readonly actor: Pick<Actor, 'scope'>;
  /** Throws where the key is not as the caller has seen it. */
  readonly expect?: (key: VirtualKeyRow) => void;
  /** Checks, and changes nothing. */
  readonly isDryRun?: boolean;
}

type Dependencies = Pick<AdminDependencies, 'store' | 'now' | 'random'>;

/** The service. */
export class KeysService {
  constructor(
    private readonly deps: Dependencies,
    private readonly changes: ServedChanges,
  ) {}

  /** All keys that the actor reaches, ascending by id, and the entities they belong to. */
  async list(actor: Pick<Actor, 'scope'>): Promise<{ keys: VirtualKeyRow[]; entities: Entities }> {
    const entities = await this.entities();
    const keys = await this.deps.store.listKeys();
    return { keys: keys.filter((key) => reachesTeam(actor, teamOf(key.owner, entities))), entities };
  }

  /** One that the actor reaches; the others do not exist for it. */
  async find(id: number, actor: Pick<Actor, 'scope'>): Promise<VirtualKeyRow> {
    const key = await this.deps.store.findKey(id);
    if (key && reachesTeam(actor, teamOf(key.owner, await this.entities()))) return key;
    throw new AdminError('key_not_found', `there is no key with id ${id}`, 'params.id');
  }

  create(request: KeyRequest, demand: KeyDemand): Promise<KeyWithSecret> {
    return this.changes.exclusive(async () => {
      await this.checkScope(request.scope ?? {}, demand.actor, null);
      const { row, secret } = mintKey(request, this.deps.random, this.deps.now());
      if (demand.isDryRun === true) {
        const key: VirtualKeyRow = { ...row, id: 0, source: 'api', revokedAt: null };
        return { before: null, key, secret: '' };
      }
      const key = await this.deps.store.insertKey(row);
      await this.changes.apply(() => this.deps.store.discardKey(key.id));
      return { before: null, key, secret };
    });
  }

  /** `request` is given the key as it is, and tells what to change. */
  change(
    id: number,
    request: (key: VirtualKeyRow) => Partial<KeyRequest>,
    demand: KeyDemand,
  ): Promise<ChangedKey> {
    return this.changes.exclusive(async () => {
      const key = await this.liveKey(id, demand);
      const wanted = request(key);
      await this.checkScope(wanted.scope ?? {}, demand.actor, key);
      return this.update(key, changeKey(key, wanted, this.deps.now()), demand);
    });
  }

  rotate(id: number, rotation: Rotation, demand: KeyDemand): Promise<KeyWithSecret> {
    return this.changes.exclusive(async () => {
      const before = await this.liveKey(id, demand);
      const { change, secret } = rotateKey(before, rotation, this.deps.random, this.deps.now());
      return { ...(await this.update(before, change, demand)), secret };
    });
  }

  /** Revoking again changes nothing and is no error. */
  revoke(id: number, demand: KeyDemand): Promise<ChangedKey> {
    return this.changes.exclusive(async () => {
      const key = await this.ownKey(id, demand);
      if (key.revokedAt !== null) return { before: key, key };
      return this.update(key, revokeKey(key, this.deps.now()), demand);
    });
  }

  /** A key belongs to what exists and what the actor reaches. */
  private async checkScope(
    { owner, tags }: Partial<KeyScope>,
    actor: Pick<Actor, 'scope'>,
    present: VirtualKeyRow | null,
  ): Promise<void> {
    const entities = await this.entities();
    const next = owner === undefined ? (present?.owner ?? null) : owner;
    if (owner !== undefined && owner !== null && entities.find(owner) === null)
      throw new AdminError('invalid_request', `there is no ${wordsFor(owner)}`, `body.owner.${owner.kind}`);
    for (const [at, name] of (tags ?? []).entries()) {
      if (entities.find({ kind: 'tag', name }) !== null) continue;
      throw new AdminError(
        'invalid_request',
        `there is no ${wordsFor({ kind: 'tag', name })}`,
        `body.tags.${at}`,
      );
    }
    if (reachesTeam(actor, teamOf(next, entities))) return;
    const message = 'the key would lie outside the teams that the token is confined to';
    throw new AdminError('grant_exceeds_actor', message, 'body.owner');
  }

  private async entities(): Promise<Entities> {
    const rows = await this.deps.store.listEntities();
    return new Entities(rows.filter(({ removedAt }) => removedAt === null));
  }

  private async ownKey(id: number, { actor, expect }: KeyDemand): Promise<VirtualKeyRow> {
    const key = await this.find(id, actor);
    if (key.source === 'config') {
      const name = JSON.stringify(key.name);
      const message = `key ${name} is declared in the configuration file; change it there`;
      throw new AdminError('key_owned_by_config', message);
    }
    expect?.(key);
    return key;
  }

  private async liveKey(id: number, demand: KeyDemand): Promise<VirtualKeyRow> {
    const key = await this.ownKey(id, demand);
    if (key.revokedAt === null) return key;
    throw new AdminError(
      'key_revoked',
      `key ${JSON.stringify(key.name)} is revoked for good; create another`,
    );
  }

  private async update(
    before: VirtualKeyRow,
    change: VirtualKeyChange,
    { isDryRun }: KeyDemand,
  ): Promise<ChangedKey> {
    if (isDryRun === true) return { before, key: { ...before, ...change } };
    const key = await this.deps.store.updateKey(before.id, change);
    if (!key)
      throw new AdminError('key_not_found', `there is no key with id ${before.id} any more`, 'params.id');
    await this.changes.apply(() => this.deps.store.updateKey(before.id, before));
    return { before, key };
  }
}
