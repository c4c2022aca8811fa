/**
 * Who may do what: permissions, the roles that bundle them, and the rules that follow. Pure.
 *
 * A permission is `resource:verb`. Nobody can hand out what they do not hold themselves: that one rule keeps an admin from
 * making owners and a team's administrator from leaving the team, so no role needs rules of its own.
 */

/** Every permission there is. */
export const PERMISSIONS = [
  'customers:read',
  'customers:write',
  'teams:read',
  'teams:write',
  'users:read',
  'users:write',
  'tags:read',
  'tags:write',
  'keys:read',
  'keys:write',
  'providers:read',
  'provider_keys:read',
  'provider_keys:write',
  'models:read',
  'prices:read',
  'usage:read',
  'config:read',
  'config:write',
  'health:read',
  'metrics:read',
  'tokens:read',
  'tokens:write',
  'roles:read',
  'roles:write',
  'audit:read',
  'owners:write',
  'secrets:read',
  'secrets:write',
] as const;

/** One of {@link PERMISSIONS}. */
export type Permission = (typeof PERMISSIONS)[number];

/** What only access management needs: who else may do what, and what they did. */
const ACCESS: readonly Permission[] = [
  'tokens:read',
  'tokens:write',
  'roles:read',
  'roles:write',
  'audit:read',
  'owners:write',
  'secrets:read',
  'secrets:write',
];

/** Roles that exist without being made, and what each may do. */
export const BUILT_IN_ROLES = {
  /** Everything. */
  owner: PERMISSIONS,
  /** Everything but owners and master keys. */
  admin: PERMISSIONS.filter((one) => one !== 'owners:write' && one !== 'secrets:write'),
  /** Runs the gateway; does not manage access to it. */
  operator: PERMISSIONS.filter((one) => !ACCESS.includes(one)),
  /** Manages users and keys of its teams; always has a scope. */
  team_admin: ['teams:read', 'users:read', 'users:write', 'keys:read', 'keys:write', 'usage:read'],
  /** Looks on. */
  viewer: PERMISSIONS.filter((one) => one.endsWith(':read') && !ACCESS.includes(one)),
} as const satisfies Record<string, readonly Permission[]>;

/** Name of a role that exists without being made. */
export type BuiltInRole = keyof typeof BUILT_IN_ROLES;

/**
 * Whether a role exists without being made.
 */
export function isBuiltInRole(name: string): name is BuiltInRole {
  return Object.hasOwn(BUILT_IN_ROLES, name);
}

/** The objects an actor is confined to. */
export interface Scope {
  /** Names of the teams whose objects (users, keys, usage) the actor may see and change. */
  readonly teams: readonly string[];
}

/** Who asks for something. */
export interface Actor {
  /**
   * `bootstrap` is the holder of the admin token of the configuration or the first start, `token` that of a service token,
   * `cli` whoever may open the database, `system` the gateway itself (first start, a configuration file).
   */
  readonly kind: 'bootstrap' | 'token' | 'cli' | 'system';
  /** Stable; unique within the kind. */
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly permissions: ReadonlySet<Permission>;
  /** Null for everything. */
  readonly scope: Scope | null;
  /** When it stops being accepted, milliseconds since 1970; null for never. */
  readonly expiresAt: number | null;
}

/** An actor that may do everything. */
export function ownerActor(kind: Actor['kind'], id: string, name: string): Actor {
  return { kind, id, name, role: 'owner', permissions: new Set(PERMISSIONS), scope: null, expiresAt: null };
}

/**
 * The permissions among these that the actor does not hold, and so cannot hand out.
 */
export function lacking(actor: Actor, permissions: Iterable<Permission>): Permission[] {
  return [...permissions].filter((one) => !actor.permissions.has(one));
}

/** Whether the actor may touch objects of this team; null stands for objects that belong to no team. */
export function reachesTeam(actor: Pick<Actor, 'scope'>, team: string | null): boolean {
  return actor.scope === null || (team !== null && actor.scope.teams.includes(team));
}

/**
 * Whether a scope lies within the actor's own.
 */
export function reachesScope(actor: Pick<Actor, 'scope'>, scope: Scope | null): boolean {
  if (actor.scope === null) return true;
  return scope !== null && scope.teams.every((team) => reachesTeam(actor, team));
}
