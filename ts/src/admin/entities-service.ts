/** Changes to customers, teams, users and tags, from the request to the data plane. */
import { type Actor, reachesTeam } from '../governance/access.js';
import {
  Entities,
  type EntityKind,
  type EntityRef,
  type EntitySettings,
  type Owner,
  wordsFor,
} from '../governance/entity.js';
import type { EntityRow, VirtualKeyRow } from '../governance/ports.js';
import { AdminError } from './errors.js';
import type { AdminDependencies } from './ports.js';
import type { ServedChanges } from './served-changes.js';

/** What a change is made with. */
export interface EntityChange {
  readonly actor: Pick<Actor, 'scope'>;
  /** Throws where the entity is not as the caller has seen it. */
  readonly expect?: (row: EntityRow) => void;
  /** Checks, and changes nothing. */
  readonly isDryRun: boolean;
}

/** An entity before and after a change. */
export interface ChangedEntity {
  readonly before: EntityRow | null;
  readonly after: EntityRow;
}

/** Most entities of one kind that the API makes. */
const MAX_ENTITIES = 100_000;

/** Most names in a message. */
const MAX_NAMED = 5;

/** The service. */
export class EntitiesService {
  constructor(
    private readonly deps: Pick<AdminDependencies, 'store' | 'now'>,
    private readonly changes: ServedChanges,
  ) {}

  /** Those of a kind that the actor reaches, by name. */
  async list(kind: EntityKind, actor: Pick<Actor, 'scope'>): Promise<EntityRow[]> {
    const { all, entities } = await this.read();
    return all.filter((row) => row.kind === kind && reachesEntity(actor, row, entities));
  }

  /** One that the actor reaches; the others do not exist for it. */
  async find(ref: EntityRef, actor: Pick<Actor, 'scope'>): Promise<EntityRow> {
    const { all, entities } = await this.read();
    const row = all.find(({ kind, name }) => kind === ref.kind && name === ref.name);
    if (row !== undefined && reachesEntity(actor, row, entities)) return row;
    throw new AdminError('entity_not_found', `there is no ${wordsFor(ref)}`, 'params.name');
  }

  create(ref: EntityRef, settings: EntitySettings, change: EntityChange): Promise<ChangedEntity> {
    return this.changes.exclusive(async () => {
      const { all, entities } = await this.read();
      if (all.filter(({ kind }) => kind === ref.kind).length >= MAX_ENTITIES)
        throw new AdminError('too_many_objects', `there are ${MAX_ENTITIES} of this kind already`);
      const now = this.deps.now();
      const row: EntityRow = {
        ...ref,
        ...settings,
        source: 'api',
        createdAt: now,
        updatedAt: now,
        removedAt: null,
      };
      checkParent(settings.parent, change.actor, entities);
      requireReach(change.actor, row, new Entities([...entities.all, row]));
      if (entities.find(ref) !== null) throw taken(ref);
      if (change.isDryRun) return { before: null, after: row };
      const before = await this.deps.store.insertEntity(row);
      await this.changes.apply(() => this.deps.store.restoreEntity(ref, before));
      return { before: null, after: row };
    });
  }

  /** `next` is given the entity as it is, and tells what it is to be. */
  change(
    ref: EntityRef,
    next: (row: EntityRow) => EntitySettings,
    change: EntityChange,
  ): Promise<ChangedEntity> {
    return this.changes.exclusive(async () => {
      const before = await this.own(ref, change);
      const { entities } = await this.read();
      const after = { ...before, ...next(before), updatedAt: this.deps.now() };
      checkParent(after.parent, change.actor, entities);
      const others = entities.all.filter((other) => other.kind !== ref.kind || other.name !== ref.name);
      requireReach(change.actor, after, new Entities([...others, after]));
      return this.store(before, after, change.isDryRun);
    });
  }

  /** Removes an entity that nothing belongs to. */
  remove(ref: EntityRef, change: EntityChange): Promise<ChangedEntity> {
    return this.changes.exclusive(async () => {
      const before = await this.own(ref, change);
      const { all } = await this.read();
      refuseInUse(ref, all, await this.deps.store.listKeys());
      return this.store(before, { ...before, removedAt: this.deps.now() }, change.isDryRun);
    });
  }

  private async store(before: EntityRow, after: EntityRow, isDryRun: boolean): Promise<ChangedEntity> {
    if (isDryRun) return { before, after };
    if ((await this.deps.store.updateEntity(after)) === null)
      throw new AdminError('entity_not_found', `there is no ${wordsFor(after)} any more`, 'params.name');
    await this.changes.apply(() => this.deps.store.restoreEntity(before, before));
    return { before, after };
  }

  private async own(ref: EntityRef, { actor, expect }: EntityChange): Promise<EntityRow> {
    const row = await this.find(ref, actor);
    if (row.source === 'config') {
      const message = `the ${wordsFor(ref)} is declared in the configuration file; change it there`;
      throw new AdminError('entity_owned_by_config', message);
    }
    expect?.(row);
    return row;
  }

  private async read(): Promise<{ all: EntityRow[]; entities: Entities }> {
    const all = (await this.deps.store.listEntities()).filter(({ removedAt }) => removedAt === null);
    return { all, entities: new Entities(all) };
  }
}

/** The team that something of this owner belongs to; null where it belongs to none. */
export function teamOf(owner: EntityRef | null, entities: Entities): string | null {
  const line = owner === null ? [] : (entities.line(owner) ?? []);
  return line.find(({ kind }) => kind === 'team')?.name ?? null;
}

/** Refuses an owner that does not exist, or that the actor does not reach. */
export function checkParent(owner: Owner | null, actor: Pick<Actor, 'scope'>, entities: Entities): void {
  if (owner === null) return;
  const isThere = entities.find(owner) !== null && reachesTeam(actor, teamOf(owner, entities));
  if (isThere) return;
  throw new AdminError('invalid_request', `there is no ${wordsFor(owner)}`, `body.${owner.kind}`);
}

function reachesEntity(actor: Pick<Actor, 'scope'>, row: EntityRef, entities: Entities): boolean {
  return reachesTeam(actor, teamOf(row, entities));
}

function requireReach(actor: Pick<Actor, 'scope'>, row: EntityRow, entities: Entities): void {
  if (reachesEntity(actor, row, entities)) return;
  const message = `the ${wordsFor(row)} would lie outside the teams that the token is confined to`;
  throw new AdminError('grant_exceeds_actor', message, 'body');
}

function taken(ref: EntityRef): AdminError {
  return new AdminError('entity_name_taken', `the ${wordsFor(ref)} exists already`, 'body.name');
}

function refuseInUse(ref: EntityRef, all: readonly EntityRow[], keys: readonly VirtualKeyRow[]): void {
  const isRef = (other: EntityRef | null): boolean => other?.kind === ref.kind && other.name === ref.name;
  const children = all.filter(({ parent }) => isRef(parent)).map(wordsFor);
  const owned = keys.filter(
    ({ owner, tags, revokedAt }) =>
      revokedAt === null && (isRef(owner) || (ref.kind === 'tag' && tags.includes(ref.name))),
  );
  const users = [...children, ...owned.map(({ name }) => wordsFor({ kind: 'key', name }))];
  if (users.length === 0) return;
  const more = users.length > MAX_NAMED ? ` and ${users.length - MAX_NAMED} more` : '';
  const message = `still belonging to the ${wordsFor(ref)}: ${users.slice(0, MAX_NAMED).join(', ')}${more}`;
  throw new AdminError('entity_in_use', message);
}
