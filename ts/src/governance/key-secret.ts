/**
 * The secret of a virtual key: 256 random bits behind a fixed prefix, so that scanners can recognise it. Only its
 * SHA-256 digest is stored: with that much randomness a slow password hash would add cost and no safety.
 */

import { createHash } from 'node:crypto';

/** Start of every generated virtual key. */
export const KEY_PREFIX = 'sk-slc-';

/** Start of every generated admin token. */
export const ADMIN_TOKEN_PREFIX = 'sluice-admin-';

/** Random bytes in a generated secret. */
export const SECRET_BYTES = 32;

/** Characters of a secret that may be shown later, so that people can tell their keys apart. */
export const HINT_CHARACTERS = 4;

/** Source of that many random bytes; `crypto.randomBytes` outside tests. */
export type RandomBytes = (count: number) => Buffer;

/** A fresh virtual key: `sk-slc-` and 43 characters of base64url. */
export function generateKeySecret(random: RandomBytes): string {
  return KEY_PREFIX + random(SECRET_BYTES).toString('base64url');
}

/** A fresh admin token. */
export function generateAdminToken(random: RandomBytes): string {
  return ADMIN_TOKEN_PREFIX + random(SECRET_BYTES).toString('base64url');
}

/** SHA-256 over the whole secret, prefix included, as 64 lower-case hexadecimal digits. */
export function digestOf(secret: string): string {
  return createHash('sha256').update(secret, 'utf8').digest('hex');
}

/** The end of a secret, to be shown in lists; empty for one so short that its end would give it away. */
export function hintOf(secret: string): string {
  return secret.length >= 4 * HINT_CHARACTERS ? secret.slice(-HINT_CHARACTERS) : '';
}
