import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ADMIN_TOKEN_PREFIX,
  digestOf,
  generateAdminToken,
  generateKeySecret,
  hintOf,
} from '../../src/governance/key-secret.js';

describe('generated secrets', () => {
  it('carry 256 bits in base64url behind the prefix', () => {
    const secret = generateKeySecret(() => Buffer.alloc(32, 0xff));
    expect(secret).toBe(`sk-slc-${'_'.repeat(42)}8`);
    expect(secret).toHaveLength(7 + 43);
    expect(generateAdminToken(randomBytes)).toMatch(new RegExp(`^${ADMIN_TOKEN_PREFIX}[A-Za-z0-9_-]{43}$`));
  });

  it('ask for exactly 32 random bytes, and differ when those do', () => {
    const asked: number[] = [];
    const random = (count: number): Buffer => {
      asked.push(count);
      return randomBytes(count);
    };
    expect(generateKeySecret(random)).not.toBe(generateKeySecret(random));
    expect(asked).toEqual([32, 32]);
  });
});

describe('digestOf', () => {
  it.each([
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  ])('is SHA-256 over the whole of %j', (secret, digest) => {
    expect(digestOf(secret)).toBe(digest);
  });
});

describe('hintOf', () => {
  it('shows the last four characters, and nothing of a short secret', () => {
    expect(hintOf('sk-slc-0123456789abcdef')).toBe('cdef');
    expect(hintOf('short-secret')).toBe('');
  });

  it('never shows more than a quarter of a secret', () => {
    fc.assert(fc.property(fc.string(), (secret) => hintOf(secret).length * 4 <= secret.length));
  });
});
