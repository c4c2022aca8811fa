/** `/meters`: how budgets and rate limits stand. */
import { Type } from 'typebox';
import { type Actor, type Permission, reachesTeam } from '../../governance/access.js';
import { Entities, type EntityKind } from '../../governance/entity.js';
import { METER_OWNER_KINDS, type MeterOwnerKind, type MeterView } from '../../governance/ports.js';
import type { AdminApp } from '../app.js';
import { teamOf } from '../entities-service.js';
import { levelsOf, METER_KINDS, MeterLevelSchema } from '../levels.js';
import { pageOf, pageQuery } from '../paging.js';
import type { AdminDependencies } from '../ports.js';
import { nullable, oneOf, record, refusals } from '../schemas.js';

const MAX_OWNER_CHARACTERS = 256;

const Query = record({
  ...pageQuery(Type.Integer({ minimum: 0, description: 'Meters with a greater id only.' })),
  kind: Type.Optional(oneOf(METER_KINDS)),
  owner_kind: Type.Optional(oneOf(METER_OWNER_KINDS)),
  owner: Type.Optional(
    Type.String({ maxLength: MAX_OWNER_CHARACTERS, description: 'Those of owners of this name only.' }),
  ),
  key_id: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 4_294_967_295, description: 'Those of this key itself only.' }),
  ),
  exhausted: Type.Optional(
    Type.Boolean({ description: 'Those of which nothing is left, or those of which something is.' }),
  ),
});

const List = record({
  meters: Type.Array(MeterLevelSchema.ref),
  next_after: nullable(Type.Integer({ description: '`after` of the next page; null on the last.' })),
});

/** What whoever sees the meters of an owner must be allowed to read. */
const PERMISSIONS: Record<MeterOwnerKind, Permission> = {
  customer: 'customers:read',
  team: 'teams:read',
  user: 'users:read',
  tag: 'tags:read',
  key: 'keys:read',
  model: 'models:read',
  provider: 'providers:read',
  provider_key: 'provider_keys:read',
};

/** Adds the route. */
export function meterRoutes(app: AdminApp, deps: AdminDependencies): void {
  app.addSchema(MeterLevelSchema.schema);
  app.get(
    '/meters',
    {
      config: { permission: 'usage:read', scoped: true },
      schema: {
        operationId: 'listMeters',
        summary: 'How budgets and rate limits stand: of owners that the caller may read',
        tags: ['usage'],
        querystring: Query,
        response: { 200: List, ...refusals('invalid_request') },
      },
    },
    async ({ query, actor }) => {
      const { after = 0, kind, owner_kind: ownerKind, owner, key_id: keyId, exhausted } = query;
      const reached = await reachedBy(actor, deps);
      const wanted = deps.config
        .meters()
        .filter(
          (meter) =>
            meter.id > after &&
            (ownerKind ?? meter.owner.kind) === meter.owner.kind &&
            (owner ?? meter.owner.name) === meter.owner.name &&
            (keyId ?? meter.owner.keyId) === meter.owner.keyId &&
            reached(meter),
        )
        .toSorted((one, other) => one.id - other.id);
      const levels = levelsOf(wanted, deps.dataPlane).filter(
        (level) => (kind ?? level.kind) === level.kind && (exhausted ?? level.exhausted) === level.exhausted,
      );
      const { entries, nextAfter } = pageOf(levels, query.limit, ({ id }) => id);
      return { meters: entries, next_after: nextAfter };
    },
  );
}

/** Whose meters an actor sees: of kinds it may read, and of its teams where it is confined to some. */
async function reachedBy(
  actor: Actor,
  { store }: Pick<AdminDependencies, 'store'>,
): Promise<(meter: MeterView) => boolean> {
  const mayRead = ({ owner }: MeterView): boolean => actor.permissions.has(PERMISSIONS[owner.kind]);
  if (actor.scope === null) return mayRead;
  const rows = await store.listEntities();
  const entities = new Entities(rows.filter(({ removedAt }) => removedAt === null));
  const owners = new Map((await store.listKeys()).map(({ id, owner }) => [id, owner]));
  return (meter) => {
    const { kind, name, keyId } = meter.owner;
    if (!mayRead(meter)) return false;
    if (keyId !== null) return reachesTeam(actor, teamOf(owners.get(keyId) ?? null, entities));
    return entities.find({ kind: kind as EntityKind, name }) !== null
      ? reachesTeam(actor, teamOf({ kind: kind as EntityKind, name }, entities))
      : false;
  };
}
