/**
 * What may be done to a virtual key: making, changing, rotating and revoking one. Every function is pure: the time and
 * the randomness are arguments, and what comes back is the row or the change to store.
 */

import { OPEN_SCOPE, type KeyScope } from './entity.js';
import { digestOf, generateKeySecret, hintOf, type RandomBytes } from './key-secret.js';
import { isNamePattern, MAX_NAME_CHARACTERS } from './name-pattern.js';
import type { KeyDigest, KeyLimits, NewVirtualKey, VirtualKeyChange, VirtualKeyRow } from './ports.js';

/** Longest name of a key, in characters. */
export const MAX_KEY_NAME_CHARACTERS = 128;

/** Most entries in the allow list of one key. */
export const MAX_ALLOWED_MODELS = 1024;

/** Secrets accepted for one key at the same time: the new one, and the one it replaces until the overlap ends. */
export const MAX_DIGESTS = 2;

/** Longest overlap of a rotation: ninety days. */
export const MAX_OVERLAP_MS = 90 * 24 * 3_600_000;

/** Largest rate limit; beyond it a counter of 53 bits could no longer be exact. */
export const MAX_RATE = 1_000_000_000_000;

/** Largest concurrency limit; it is a 32-bit number in the data plane. */
export const MAX_CONCURRENCY = 4_294_967_295;

/** What a caller says about a new key. */
export interface KeyRequest {
  readonly name: string;
  /** Absent allows every model. */
  readonly models?: readonly string[];
  readonly limits?: KeyLimits;
  /** Milliseconds since 1970; absent or null for never. */
  readonly expiresAt?: number | null;
  /** Whose it is and what it is narrowed to; what is absent is open. */
  readonly scope?: Partial<KeyScope>;
}

/** One thing that is wrong with a request concerning a key. */
export interface KeyProblem {
  /** Property of {@link KeyRequest}, with a path inside it where that helps. */
  readonly field: string;
  readonly message: string;
}

/** A request concerning a key that cannot be carried out. */
export class InvalidKeyRequest extends Error {
  constructor(readonly problems: readonly KeyProblem[]) {
    super(problems.map(({ field, message }) => `${field}: ${message}`).join('; '));
    this.name = 'InvalidKeyRequest';
  }
}

/** A new key and its secret, which is shown once and kept nowhere. */
export interface MintedKey {
  readonly row: NewVirtualKey;
  readonly secret: string;
}

/** A change to store and the new secret, which is shown once and kept nowhere. */
export interface RotatedKey {
  readonly change: VirtualKeyChange;
  readonly secret: string;
}

/** Makes a key. Throws {@link InvalidKeyRequest} with everything that is wrong. */
export function mintKey(request: KeyRequest, random: RandomBytes, now: number): MintedKey {
  refuseWhenWrong(problemsOf(request, now));
  const secret = generateKeySecret(random);
  const digest = { sha256: digestOf(secret), expiresAt: request.expiresAt ?? null };
  const row = {
    name: request.name,
    digests: [digest],
    models: request.models ?? ['*'],
    limits: request.limits ?? {},
    createdAt: now,
    hint: hintOf(secret),
    ...OPEN_SCOPE,
    ...request.scope,
  };
  return { row, secret };
}

/**
 * Gives a key a new secret. The one in use stays accepted for `overlapMs` (0 ends it at once), never beyond its own
 * expiry; older ones end now. The new secret takes over the expiry of the one it replaces unless told otherwise.
 */
export function rotateKey(
  key: VirtualKeyRow,
  options: { readonly overlapMs: number; readonly expiresAt?: number | null },
  random: RandomBytes,
  now: number,
): RotatedKey {
  refuseWhenWrong(rotationProblems(key, options, now));
  const secret = generateKeySecret(random);
  const current = key.digests[0];
  const expiresAt = options.expiresAt === undefined ? (current?.expiresAt ?? null) : options.expiresAt;
  const digests: KeyDigest[] = [{ sha256: digestOf(secret), expiresAt }];
  if (current !== undefined && options.overlapMs > 0) {
    digests.push({ sha256: current.sha256, expiresAt: earlier(current.expiresAt, now + options.overlapMs) });
  }
  return { change: { digests: digests.slice(0, MAX_DIGESTS), hint: hintOf(secret) }, secret };
}

/** Changes the settings of a key, never its secret. Throws {@link InvalidKeyRequest}. */
export function changeKey(key: VirtualKeyRow, request: Partial<KeyRequest>, now: number): VirtualKeyChange {
  const problems = problemsOf({ ...request, name: request.name ?? key.name }, now);
  if (key.revokedAt !== null) problems.push({ field: 'id', message: 'the key is revoked' });
  refuseWhenWrong(problems);
  return {
    ...(request.name !== undefined && { name: request.name }),
    ...(request.models !== undefined && { models: request.models }),
    ...(request.limits !== undefined && { limits: request.limits }),
    ...request.scope,
    ...(request.expiresAt !== undefined && { digests: withExpiry(key.digests, request.expiresAt) }),
  };
}

/** Ends a key for good; revoking one twice keeps the first time. */
export function revokeKey(key: VirtualKeyRow, now: number): VirtualKeyChange {
  return { revokedAt: key.revokedAt ?? now };
}

/** What a key is worth at a moment. */
export type KeyState = 'active' | 'expired' | 'revoked';

/** Whether any secret of the key is accepted at `now`, and if not, why. */
export function keyState(key: VirtualKeyRow, now: number): KeyState {
  if (key.revokedAt !== null && key.revokedAt <= now) return 'revoked';
  const alive = key.digests.some(({ expiresAt }) => expiresAt === null || expiresAt > now);
  return alive ? 'active' : 'expired';
}

/** Everything that is wrong with limits; each must be a positive integer, an absent one is unlimited. */
export function limitProblems(limits: KeyLimits): KeyProblem[] {
  const bounds = {
    requestsPerMinute: MAX_RATE,
    tokensPerMinute: MAX_RATE,
    concurrency: MAX_CONCURRENCY,
  } as const satisfies Record<keyof KeyLimits, number>;
  return Object.entries(bounds).flatMap(([name, most]) => {
    const value = limits[name as keyof KeyLimits];
    if (value === undefined || (Number.isInteger(value) && value >= 1 && value <= most)) return [];
    return [{ field: `limits.${name}`, message: `must be a whole number from 1 to ${most}` }];
  });
}

function problemsOf(request: KeyRequest, now: number): KeyProblem[] {
  return [
    ...nameProblems(request.name),
    ...modelProblems(request.models ?? []),
    ...limitProblems(request.limits ?? {}),
    ...expiryProblems(request.expiresAt ?? null, now),
  ];
}

function rotationProblems(
  key: VirtualKeyRow,
  options: { readonly overlapMs: number; readonly expiresAt?: number | null },
  now: number,
): KeyProblem[] {
  const problems = expiryProblems(options.expiresAt ?? null, now);
  if (key.revokedAt !== null) problems.push({ field: 'id', message: 'the key is revoked' });
  if (!(
    Number.isInteger(options.overlapMs) &&
    options.overlapMs >= 0 &&
    options.overlapMs <= MAX_OVERLAP_MS
  )) {
    problems.push({ field: 'overlapMs', message: `must be from 0 to ${MAX_OVERLAP_MS} milliseconds` });
  }
  return problems;
}

function nameProblems(name: string): KeyProblem[] {
  const fits = name.length > 0 && name.length <= MAX_KEY_NAME_CHARACTERS && name.trim() === name;
  if (fits && !/\p{Cc}/u.test(name)) return [];
  const message = `must be 1 to ${MAX_KEY_NAME_CHARACTERS} characters without surrounding space or control characters`;
  return [{ field: 'name', message }];
}

function modelProblems(models: readonly string[]): KeyProblem[] {
  if (models.length > MAX_ALLOWED_MODELS) {
    return [{ field: 'models', message: `must have at most ${MAX_ALLOWED_MODELS} entries` }];
  }
  const message = `must be a name, or a pattern with one *, of at most ${MAX_NAME_CHARACTERS} characters`;
  return models.flatMap((name, at) => (isNamePattern(name) ? [] : [{ field: `models[${at}]`, message }]));
}

function expiryProblems(expiresAt: number | null, now: number): KeyProblem[] {
  if (expiresAt === null || (Number.isInteger(expiresAt) && expiresAt > now)) return [];
  return [{ field: 'expiresAt', message: 'must lie in the future' }];
}

/** The newest secret gets the expiry; one that is being rotated out never outlives it. */
function withExpiry(digests: readonly KeyDigest[], expiresAt: number | null): KeyDigest[] {
  return digests.map(({ sha256, expiresAt: own }, at) => {
    if (at === 0) return { sha256, expiresAt };
    return { sha256, expiresAt: expiresAt === null ? own : earlier(own, expiresAt) };
  });
}

function earlier(a: number | null, b: number): number {
  return a === null ? b : Math.min(a, b);
}

function refuseWhenWrong(problems: readonly KeyProblem[]): void {
  if (problems.length > 0) throw new InvalidKeyRequest(problems);
}
