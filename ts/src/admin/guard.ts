/**
 * The one choke point of the admin listener. Every request passes it before its body is read, whether or not a route
 * exists: the `Host` and `Origin` it names (a web page may reach a loopback port through DNS rebinding), the token, the
 * permission that the route declares, and the scope. Nothing else decides who may call.
 *
 * Denial is the default three times over: a route that declares no permission keeps the app from starting; who lacks the
 * permission is refused; and an actor confined to teams reaches only routes that declare that they filter by scope.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify';
import { type Actor, ownerActor, type Permission, PERMISSIONS } from '../governance/access.js';
import type { ChangeNote } from './changes.js';
import { AdminError } from './errors.js';
import { FailureLimit } from './failures.js';

/** What a route asks of its caller: a permission, any valid token, or nothing. */
export type RoutePermission = Permission | 'authenticated' | 'public';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Every route declares it. */
    permission?: RoutePermission;
    /** Peers on this machine may call without a token. */
    openToLoopback?: boolean;
    /** The handler shows and changes only what `request.actor.scope` reaches; without it, scoped actors are refused. */
    scoped?: boolean;
  }
  interface FastifyRequest {
    /** Who calls; on routes that were reached without a token, an actor without permissions. */
    actor: Actor;
  }
}

/** Who may call. */
export interface GuardOptions {
  /** SHA-256 digests (64 lower-case hexadecimal digits) of the bootstrap tokens, whose holders are owners. */
  readonly tokenDigests: readonly string[];
  /** Address the listener is bound to, without port. */
  readonly boundHost: string;
  /** Further names that requests may be addressed to, lower case, without port. */
  readonly allowedHosts: readonly string[];
  /** Failed authentications per minute and address before all its requests are answered 429; 0 turns it off. */
  readonly failuresPerMinute: number;
}

/** What the guard asks. */
export interface GuardParts {
  /** The holder of the service token with this SHA-256 digest; null where none is valid. */
  actorOf(tokenDigest: string): Promise<Actor | null>;
  /** Wall clock, milliseconds since 1970. */
  now(): number;
}

/** Longest `Authorization` header that is looked at; ours are under a hundred characters. */
const MAX_AUTHORIZATION_CHARACTERS = 4_096;

/** Who has reached a public route without a token. */
const ANONYMOUS: Actor = {
  kind: 'token',
  id: '',
  name: 'anonymous',
  role: 'none',
  permissions: new Set(),
  scope: { teams: [] },
  expiresAt: null,
};

const BOOTSTRAP = ownerActor('bootstrap', 'admin', 'admin token');

/** Installs the choke point. Call it before any route is added. */
export function installGuard(app: FastifyInstance, options: GuardOptions, parts: GuardParts): void {
  const failures = new FailureLimit(options.failuresPerMinute);
  const authenticate = authenticator(options, parts);
  app.decorateRequest('actor');
  app.decorateRequest('changeNotes');
  app.addHook('onRoute', requirePermission);
  app.addHook('onRequest', async (request, reply) => {
    request.actor = ANONYMOUS;
    request.changeNotes = [] satisfies ChangeNote[];
    requireAllowedHost(request, options);
    if (isPublic(request)) return;
    const seconds = failures.retryAfter(request.ip, parts.now());
    if (seconds > 0) {
      void reply.header('retry-after', seconds);
      throw new AdminError('too_many_failures', `too many wrong tokens; try again in ${seconds} s`);
    }
    const actor = await authenticate(request.headers.authorization);
    if (actor === null) {
      failures.count(request.ip, parts.now());
      throw new AdminError(
        'unauthorized',
        'this needs an Authorization header with an admin token: Bearer TOKEN',
      );
    }
    request.actor = actor;
    if (!request.is404) authorize(actor, request);
  });
}

/** Fails the start for a route that does not say who may call it, and puts what it says into its documentation. */
function requirePermission(route: RouteOptions): void {
  const { permission } = route.config ?? {};
  const known: readonly unknown[] = ['public', 'authenticated', ...PERMISSIONS];
  if (permission === undefined || !known.includes(permission)) {
    throw new TypeError(`${[route.method].flat().join('/')} ${route.url} must declare config.permission`);
  }
  if (permission !== 'public' && route.schema) {
    Object.assign(route.schema, { 'x-permission': permission, 'x-scoped': route.config?.scoped === true });
  }
}

function authorize(actor: Actor, { routeOptions }: FastifyRequest): void {
  const { permission, scoped } = routeOptions.config;
  if (permission === undefined || permission === 'public') return;
  if (permission === 'authenticated') return;
  if (!actor.permissions.has(permission)) {
    throw new AdminError(
      'forbidden',
      `this needs the permission ${permission}, which the role ${actor.role} does not have`,
    );
  }
  if (actor.scope !== null && scoped !== true) {
    throw new AdminError('forbidden', 'this reaches beyond the teams that the token is confined to');
  }
}

/** Whether an address accepts connections from this machine only. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  return bare === 'localhost' || bare === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(bare);
}

/** The host part of a `Host` header or authority, lower case, without brackets; null when it is not one. */
export function hostOf(authority: string): string | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(authority);
  return match ? (match[1] ?? match[2] ?? '').toLowerCase() : null;
}

function isPublic(request: FastifyRequest): boolean {
  const { permission, openToLoopback } = request.routeOptions.config;
  return (
    permission === 'public' || (openToLoopback === true && isLoopback(request.socket.remoteAddress ?? ''))
  );
}

/**
 * Digests are compared, in constant time, so neither the length of the token nor the place of the first difference
 * shows in the time taken; every bootstrap digest is compared for the same reason. A service token is looked up by its
 * digest: how far a wrong one gets in the index tells about the digest, from which nothing leads to a token.
 */
function authenticator(
  { tokenDigests }: GuardOptions,
  parts: GuardParts,
): (header: string | undefined) => Promise<Actor | null> {
  const bootstrap = tokenDigests.map((digest) => Buffer.from(digest, 'hex'));
  return async (header) => {
    if (header === undefined || header.length > MAX_AUTHORIZATION_CHARACTERS) return null;
    const token = /^Bearer +(\S+)$/i.exec(header)?.[1];
    if (token === undefined) return null;
    const presented = createHash('sha256').update(token, 'utf8').digest();
    if (bootstrap.filter((digest) => timingSafeEqual(digest, presented)).length > 0) return BOOTSTRAP;
    return parts.actorOf(presented.toString('hex'));
  };
}

function requireAllowedHost(request: FastifyRequest, options: GuardOptions): void {
  const { host = '', origin } = request.headers;
  if (!isAllowedHost(hostOf(host), options)) throw refusedHost('Host', host);
  if (origin !== undefined && !isAllowedHost(originHost(origin), options))
    throw refusedHost('Origin', origin);
}

function refusedHost(header: string, value: string): AdminError {
  const found = JSON.stringify(value.slice(0, 100));
  const message = `${header} ${found} is not a name of this listener; expected its address, localhost, or a configured name`;
  return new AdminError('host_not_allowed', message, `header.${header.toLowerCase()}`);
}

function originHost(origin: string): string | null {
  const authority = /^https?:\/\/([^/]+)$/i.exec(origin)?.[1];
  return authority === undefined ? null : hostOf(authority);
}

/**
 * A listener on all addresses is reached by any of them; an address typed as such is safe, since rebinding needs a name.
 */
function isAllowedHost(host: string | null, { boundHost, allowedHosts }: GuardOptions): boolean {
  if (host === null) return false;
  if (isLoopback(host) || host === boundHost.toLowerCase() || allowedHosts.includes(host)) return true;
  return isUnspecified(boundHost) && isIP(host) !== 0;
}

function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || host === '::' || host === '';
}
