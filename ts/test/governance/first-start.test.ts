import { describe, expect, it } from 'vitest';
import { adminTokens, firstKey } from '../../src/governance/first-start.js';
import { digestOf } from '../../src/governance/key-secret.js';
import { ADMIN_TOKEN_FACT } from '../../src/governance/ports.js';
import { MemoryStore } from './memory-store.js';

const zeros = (count: number): Buffer => Buffer.alloc(count);
const GENERATED = `sluice-admin-${'A'.repeat(43)}`;

describe('adminTokens', () => {
  it('takes the configured one, whatever is stored', async () => {
    const store = new MemoryStore();
    await store.setFact(ADMIN_TOKEN_FACT, 'other');
    const { digests, generated, keep } = await adminTokens(store, 'configured', zeros);
    await keep();
    expect([digests, generated]).toEqual([[digestOf('configured')], null]);
    expect(store.facts.get(ADMIN_TOKEN_FACT)).toBe('other');
  });

  it('generates one, and keeps its digest only once told to', async () => {
    const store = new MemoryStore();
    const first = await adminTokens(store, null, zeros);
    expect(first).toMatchObject({ digests: [digestOf(GENERATED)], generated: GENERATED });
    expect((await adminTokens(store, null, zeros)).generated).toBe(GENERATED);

    await first.keep();
    expect(JSON.stringify([...store.facts])).not.toContain(GENERATED);
    expect(await adminTokens(store, null, zeros)).toMatchObject({
      digests: [digestOf(GENERATED)],
      generated: null,
    });
  });
});

describe('firstKey', () => {
  it('is made where there has never been a key', async () => {
    const store = new MemoryStore();
    const made = await firstKey(store, zeros, 5);
    expect(made).toEqual({ id: 1, secret: `sk-slc-${'A'.repeat(43)}` });
    expect(await store.listKeys()).toMatchObject([
      { name: 'default', models: ['*'], limits: {}, createdAt: 5 },
    ]);
    expect(await firstKey(store, zeros, 6)).toBeNull();
  });

  it('is not made again where the last key was revoked', async () => {
    const store = new MemoryStore();
    await firstKey(store, zeros, 5);
    await store.updateKey(1, { revokedAt: 6 });
    expect(await firstKey(store, zeros, 7)).toBeNull();
  });
});
