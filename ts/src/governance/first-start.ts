/** What the first start of an installation leaves behind: an admin token and a virtual key, each shown once. */

import { ownerActor } from './access.js';
import { type AuditDraft, draftOf } from './audit.js';
import { digestOf, generateAdminToken, type RandomBytes } from './key-secret.js';
import { ADMIN_TOKEN_FACT, type FactRepository, type KeyRepository } from './ports.js';
import { mintKey } from './virtual-key.js';

/** Name of the first virtual key. */
export const FIRST_KEY_NAME = 'default';

/** Tokens that the admin API accepts. */
export interface AdminTokens {
  /** SHA-256 digests; never empty. */
  readonly digests: readonly string[];
  /** The token itself, when it was made now; null otherwise. */
  readonly generated: string | null;
  /** Keeps the digest of a generated token: called once it is certain that the token will be shown. */
  keep(): Promise<void>;
}

/** The configured token, the one whose digest is stored, or a fresh one. */
export async function adminTokens(
  store: FactRepository,
  configured: string | null,
  random: RandomBytes,
): Promise<AdminTokens> {
  const digest = configured === null ? await store.fact(ADMIN_TOKEN_FACT) : digestOf(configured);
  if (digest !== null) return { digests: [digest], generated: null, keep: () => Promise.resolve() };
  const generated = generateAdminToken(random);
  const fresh = digestOf(generated);
  return { digests: [fresh], generated, keep: () => store.setFact(ADMIN_TOKEN_FACT, fresh) };
}

/** The first virtual key of an installation. */
export interface FirstKey {
  readonly id: number;
  readonly secret: string;
}

/** Makes a key for every model where there has never been one; null otherwise. */
export async function firstKey(
  store: KeyRepository,
  random: RandomBytes,
  now: number,
): Promise<FirstKey | null> {
  if ((await store.listKeys()).length > 0) return null;
  const { row, secret } = mintKey({ name: FIRST_KEY_NAME }, random, now);
  const { id } = await store.insertKey(row);
  return { id, secret };
}

/** The first key is made by nobody who could be asked; the audit log says so. */
export function firstKeyEntry({ id }: FirstKey, at: number): AuditDraft {
  const context = { at, actor: ownerActor('system', 'start', 'first start'), address: null, requestId: null };
  const after = { id, name: FIRST_KEY_NAME };
  return draftOf(context, {
    action: 'firstStart',
    object: 'key',
    objectId: id,
    before: null,
    after,
    outcome: 'done',
  });
}
