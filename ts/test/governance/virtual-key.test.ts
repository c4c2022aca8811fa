import { describe, expect, it } from 'vitest';
import { OPEN_SCOPE } from '../../src/governance/entity.js';
import { digestOf } from '../../src/governance/key-secret.js';
import type { KeyDigest, VirtualKeyRow } from '../../src/governance/ports.js';
import {
  changeKey,
  InvalidKeyRequest,
  keyState,
  limitProblems,
  MAX_OVERLAP_MS,
  mintKey,
  revokeKey,
  rotateKey,
  type KeyRequest,
} from '../../src/governance/virtual-key.js';

const NOW = 1_700_000_000_000;
const zeros = (count: number): Buffer => Buffer.alloc(count);

function row(change: Partial<VirtualKeyRow> = {}): VirtualKeyRow {
  return {
    id: 7,
    name: 'ci',
    digests: [{ sha256: 'old', expiresAt: null }],
    models: ['*'],
    limits: {},
    revokedAt: null,
    source: 'api',
    createdAt: NOW - 1,
    hint: 'abcd',
    ...OPEN_SCOPE,
    ...change,
  };
}

function problemsOf(action: () => unknown): string[] {
  try {
    action();
  } catch (error) {
    if (error instanceof InvalidKeyRequest) return error.problems.map(({ field }) => field);
    throw error;
  }
  return [];
}

describe('mintKey', () => {
  it('stores the digest and the hint, and allows every model unless told otherwise', () => {
    const { row: made, secret } = mintKey({ name: 'ci' }, zeros, NOW);
    expect(secret).toBe(`sk-slc-${'A'.repeat(43)}`);
    expect(made).toEqual({
      name: 'ci',
      digests: [{ sha256: digestOf(secret), expiresAt: null }],
      models: ['*'],
      limits: {},
      createdAt: NOW,
      hint: 'AAAA',
      ...OPEN_SCOPE,
    });
    expect(JSON.stringify(made)).not.toContain(secret);
  });

  it.each<[string, KeyRequest, string[]]>([
    ['an empty name', { name: '' }, ['name']],
    ['a padded name', { name: ' ci' }, ['name']],
    ['a control character', { name: 'a\nb' }, ['name']],
    ['a long name', { name: 'x'.repeat(129) }, ['name']],
    ['two stars', { name: 'ci', models: ['a', '*b*'] }, ['models[1]']],
    ['no models, which is allowed and allows none', { name: 'ci', models: [] }, []],
    ['a limit of 0', { name: 'ci', limits: { concurrency: 0 } }, ['limits.concurrency']],
    ['a past expiry', { name: 'ci', expiresAt: NOW }, ['expiresAt']],
    ['everything at once', { name: '', models: [''], expiresAt: 1 }, ['name', 'models[0]', 'expiresAt']],
  ])('names what is wrong with %s', (_title, request, fields) => {
    expect(problemsOf(() => mintKey(request, zeros, NOW))).toEqual(fields);
  });
});

describe('rotateKey', () => {
  const rotate = (digests: KeyDigest[], options: { overlapMs: number; expiresAt?: number | null }): unknown =>
    rotateKey(row({ digests }), options, zeros, NOW).change.digests;
  const fresh = digestOf(`sk-slc-${'A'.repeat(43)}`);

  it.each<[string, KeyDigest[], { overlapMs: number; expiresAt?: number | null }, KeyDigest[]]>([
    [
      'ends the old secret at once',
      [{ sha256: 'a', expiresAt: null }],
      { overlapMs: 0 },
      [{ sha256: fresh, expiresAt: null }],
    ],
    [
      'keeps the old one for the overlap',
      [{ sha256: 'a', expiresAt: null }],
      { overlapMs: 50 },
      [
        { sha256: fresh, expiresAt: null },
        { sha256: 'a', expiresAt: NOW + 50 },
      ],
    ],
    [
      'never beyond its own expiry, which the new one takes over',
      [{ sha256: 'a', expiresAt: NOW + 9 }],
      { overlapMs: 50 },
      [
        { sha256: fresh, expiresAt: NOW + 9 },
        { sha256: 'a', expiresAt: NOW + 9 },
      ],
    ],
    [
      'drops the one before',
      [
        { sha256: 'b', expiresAt: null },
        { sha256: 'a', expiresAt: NOW + 9 },
      ],
      { overlapMs: 50, expiresAt: NOW + 99 },
      [
        { sha256: fresh, expiresAt: NOW + 99 },
        { sha256: 'b', expiresAt: NOW + 50 },
      ],
    ],
    [
      'may lift the expiry',
      [{ sha256: 'a', expiresAt: NOW + 9 }],
      { overlapMs: 0, expiresAt: null },
      [{ sha256: fresh, expiresAt: null }],
    ],
  ])('%s', (_title, before, options, after) => {
    expect(rotate(before, options)).toEqual(after);
  });

  it.each([
    ['a revoked key', row({ revokedAt: 5 }), { overlapMs: 0 }, ['id']],
    ['a negative overlap', row(), { overlapMs: -1 }, ['overlapMs']],
    ['half a millisecond', row(), { overlapMs: 0.5 }, ['overlapMs']],
    ['an overlap beyond the bound', row(), { overlapMs: MAX_OVERLAP_MS + 1 }, ['overlapMs']],
  ])('refuses %s', (_title, key, options, fields) => {
    expect(problemsOf(() => rotateKey(key, options, zeros, NOW))).toEqual(fields);
  });
});

describe('changeKey', () => {
  it('changes only what is named', () => {
    expect(changeKey(row(), { models: ['a'] }, NOW)).toEqual({ models: ['a'] });
    expect(changeKey(row(), {}, NOW)).toEqual({});
  });

  it('sets the expiry on the newest secret and never extends the one rotated out', () => {
    const digests = [
      { sha256: 'b', expiresAt: null },
      { sha256: 'a', expiresAt: NOW + 50 },
    ];
    const after = (expiresAt: number | null): unknown =>
      changeKey(row({ digests }), { expiresAt }, NOW).digests;
    expect(after(NOW + 9)).toEqual([
      { sha256: 'b', expiresAt: NOW + 9 },
      { sha256: 'a', expiresAt: NOW + 9 },
    ]);
    expect(after(NOW + 99)).toEqual([
      { sha256: 'b', expiresAt: NOW + 99 },
      { sha256: 'a', expiresAt: NOW + 50 },
    ]);
    expect(after(null)).toEqual(digests);
  });

  it('leaves a revoked key alone', () => {
    expect(problemsOf(() => changeKey(row({ revokedAt: 1 }), { name: 'x' }, NOW))).toEqual(['id']);
  });
});

describe('keyState', () => {
  it.each<[string, Partial<VirtualKeyRow>, string]>([
    ['a plain key', {}, 'active'],
    ['revoked', { revokedAt: NOW }, 'revoked'],
    ['all secrets expired', { digests: [{ sha256: 'a', expiresAt: NOW }] }, 'expired'],
    [
      'one secret alive',
      {
        digests: [
          { sha256: 'a', expiresAt: NOW },
          { sha256: 'b', expiresAt: NOW + 1 },
        ],
      },
      'active',
    ],
    ['no secret at all', { digests: [] }, 'expired'],
  ])('%s', (_title, change, state) => {
    expect(keyState(row(change), NOW)).toBe(state);
  });

  it('keeps the first time of revocation', () => {
    expect(revokeKey(row(), NOW)).toEqual({ revokedAt: NOW });
    expect(revokeKey(row({ revokedAt: 3 }), NOW)).toEqual({ revokedAt: 3 });
  });
});

describe('limitProblems', () => {
  it.each([
    [{}, 0],
    [{ requestsPerMinute: 1, tokensPerMinute: 1_000_000_000_000, concurrency: 4_294_967_295 }, 0],
    [{ requestsPerMinute: 0 }, 1],
    [{ tokensPerMinute: 1.5 }, 1],
    [{ concurrency: 4_294_967_296 }, 1],
    [{ requestsPerMinute: Number.NaN, tokensPerMinute: -1, concurrency: Infinity }, 3],
  ])('%j has %i', (limits, count) => {
    expect(limitProblems(limits)).toHaveLength(count);
  });
});
