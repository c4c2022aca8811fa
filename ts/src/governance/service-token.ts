/** What may be done to a service token of the admin API. Pure: time and randomness are arguments. */
import { type Actor, BUILT_IN_ROLES, isBuiltInRole, type Permission } from './access.js';
import type { NewTokenRow, RoleRow, TokenChange, TokenRow } from './access-ports.js';
import { digestOf, hintOf, type RandomBytes, SECRET_BYTES } from './key-secret.js';

/** Start of every service token, so that scanners can recognise one. */
export const TOKEN_PREFIX = 'slc-adm-';

/** Longest overlap of a rotation: ninety days. */
export const MAX_TOKEN_OVERLAP_MS = 90 * 24 * 3_600_000;

/** A token, and its secret this one time. */
export interface MintedToken<T> {
  readonly row: T;
  readonly secret: string;
}

/** Makes a token of 256 random bits. */
export function mintToken(
  settings: Pick<NewTokenRow, 'name' | 'role' | 'scope' | 'expiresAt'>,
  random: RandomBytes,
  now: number,
): MintedToken<NewTokenRow> {
  const secret = freshSecret(random);
  const row = { ...settings, sha256: digestOf(secret), previous: null, hint: hintOf(secret), createdAt: now };
  return { row, secret };
}

/** Gives a token a new secret; the one before stays accepted for the overlap, never beyond its own expiry. */
export function rotateToken(
  token: TokenRow,
  overlapMs: number,
  random: RandomBytes,
  now: number,
): MintedToken<TokenChange> {
  const secret = freshSecret(random);
  const until = Math.min(now + overlapMs, token.expiresAt ?? Infinity);
  const previous = until > now ? { sha256: token.sha256, expiresAt: until } : null;
  return { row: { sha256: digestOf(secret), hint: hintOf(secret), previous }, secret };
}

/** What a token is worth at a moment. */
export type TokenState = 'active' | 'expired' | 'revoked';

/** The state, by the newest secret. */
export function tokenState({ revokedAt, expiresAt }: TokenRow, now: number): TokenState {
  if (revokedAt !== null) return 'revoked';
  return expiresAt !== null && expiresAt <= now ? 'expired' : 'active';
}

/** Whether the token accepts this digest now. */
export function accepts(token: TokenRow, sha256: string, now: number): boolean {
  if (tokenState(token, now) !== 'active') return false;
  if (token.sha256 === sha256) return true;
  return token.previous !== null && token.previous.sha256 === sha256 && token.previous.expiresAt > now;
}

/** What a role may do; nothing, for one that is not there. */
export function permissionsOf(role: string, made: RoleRow | null): readonly Permission[] {
  return isBuiltInRole(role) ? BUILT_IN_ROLES[role] : (made?.permissions ?? []);
}

/** The holder of a token. */
export function actorOf(token: TokenRow, permissions: readonly Permission[]): Actor {
  const { id, name, role, scope, expiresAt } = token;
  const granted = new Set(permissions);
  return { kind: 'token', id: String(id), name, role, permissions: granted, scope, expiresAt };
}

function freshSecret(random: RandomBytes): string {
  return TOKEN_PREFIX + random(SECRET_BYTES).toString('base64url');
}
