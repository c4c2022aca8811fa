/**
 * The one choke point of the admin listener. Every request passes it before its body is read, whether or not a route
 * exists: first the `Host` and `Origin` it names (a web page may reach a loopback port through DNS rebinding), then the
 * bearer token, unless the route is declared public. Nothing else decides who may call.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AdminError } from './errors.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Who may call without the token: `anyone`, or `loopback` for peers on this machine. Absent, as for almost every
     * route, nobody.
     */
    public?: 'anyone' | 'loopback';
  }
}

/** Who may call. */
export interface GuardOptions {
  /** SHA-256 digests (64 lower-case hexadecimal digits) of the accepted tokens; none accepts nobody. */
  readonly tokenDigests: readonly string[];
  /** Address the listener is bound to, without port. */
  readonly boundHost: string;
  /** Further names that requests may be addressed to, lower case, without port. */
  readonly allowedHosts: readonly string[];
}

/** Longest `Authorization` header that is looked at; ours are under a hundred characters. */
const MAX_AUTHORIZATION_CHARACTERS = 4_096;

/** Installs the choke point. Call it before any route is added. */
export function installGuard(app: FastifyInstance, options: GuardOptions): void {
  const digests = options.tokenDigests.map((digest) => Buffer.from(digest, 'hex'));
  app.addHook('onRequest', async (request) => {
    requireAllowedHost(request, options);
    if (isPublic(request) || holdsToken(request.headers.authorization, digests)) return;
    throw new AdminError(
      'unauthorized',
      'this needs an Authorization header with the admin token: Bearer TOKEN',
    );
  });
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
  const audience = request.routeOptions.config.public;
  return audience === 'anyone' || (audience === 'loopback' && isLoopback(request.socket.remoteAddress ?? ''));
}

/**
 * Digests are compared, in constant time, so neither the length of the token nor the place of the first difference
 * shows in the time taken; every accepted digest is compared for the same reason.
 */
function holdsToken(header: string | undefined, digests: readonly Buffer[]): boolean {
  if (header === undefined || header.length > MAX_AUTHORIZATION_CHARACTERS) return false;
  const token = /^Bearer +(\S+)$/i.exec(header)?.[1];
  if (token === undefined) return false;
  const presented = createHash('sha256').update(token, 'utf8').digest();
  return digests.filter((digest) => timingSafeEqual(digest, presented)).length > 0;
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
