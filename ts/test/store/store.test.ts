import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OPEN_SCOPE } from '../../src/governance/entity.js';
import { NameTaken, type NewVirtualKey, type VirtualKeyRow } from '../../src/governance/ports.js';
import type { Store } from '../../src/store/index.js';
import { describeEach, type StorePlace } from './engines.js';

const digest = (digit: string) => ({ sha256: digit.repeat(64), expiresAt: null });

function newKey(name: string, over: Partial<NewVirtualKey> = {}): NewVirtualKey {
  const rest = { models: ['*'], limits: {}, createdAt: 1_000, hint: 'wxyz' };
  return { name, digests: [digest('a')], ...rest, ...OPEN_SCOPE, ...over };
}

describeEach((engine) => {
  let place: StorePlace;
  let store: Store;

  beforeEach(async () => {
    place = await engine.place();
    store = await place.open();
  });

  afterEach(async () => {
    await store.close();
    await place.remove();
  });

  describe('labels', () => {
    it('give one lasting id per kind and name, over restarts', async () => {
      const first = await store.labelIds([
        { kind: 'provider', name: 'openai' },
        { kind: 'model', name: 'openai' },
        { kind: 'provider', name: 'openai' },
      ]);
      expect(first[0]).toBe(first[2]);
      expect(new Set(first).size).toBe(2);
      expect(Math.min(...first)).toBeGreaterThan(0);
      await store.close();
      store = await place.open();
      const [again, fresh] = await store.labelIds([
        { kind: 'model', name: 'openai' },
        { kind: 'model', name: 'new' },
      ]);
      expect(again).toBe(first[1]);
      expect(first).not.toContain(fresh);
      expect(await store.listLabels()).toHaveLength(3);
    });

    it('share one sequence with keys, so that no id ever means two things', async () => {
      const [label] = await store.labelIds([{ kind: 'provider', name: 'openai' }]);
      const key = await store.insertKey(newKey('one'));
      const [later] = await store.labelIds([{ kind: 'provider', name: 'other' }]);
      expect(new Set([label, key.id, later]).size).toBe(3);
    });

    it('do not give the id of a discarded key to another', async () => {
      const discarded = await store.insertKey(newKey('one'));
      await store.discardKey(discarded.id);
      const next = await store.insertKey(newKey('one'));
      expect(next.id).toBeGreaterThan(discarded.id);
      expect(await store.findKey(discarded.id)).toBeNull();
    });
  });

  describe('facts', () => {
    it('are set, replaced and found', async () => {
      expect(await store.fact('token')).toBeNull();
      await store.setFact('token', 'one');
      await store.setFact('token', 'two');
      expect(await store.fact('token')).toBe('two');
    });
  });

  describe('keys', () => {
    it('come back as they were stored', async () => {
      const key = newKey('full', {
        digests: [digest('a'), { sha256: 'b'.repeat(64), expiresAt: 99 }],
        models: ['gpt-*', 'o1'],
        limits: { requestsPerMinute: 1, tokensPerMinute: 2, concurrency: 3 },
      });
      const stored = await store.insertKey(key);
      expect(stored).toEqual({ ...key, id: stored.id, source: 'api', revokedAt: null });
      expect(await store.findKey(stored.id)).toEqual(stored);
      expect(await store.listKeys()).toEqual([stored]);
    });

    it('hold a name once among the live, and free it on revocation', async () => {
      const first = await store.insertKey(newKey('team'));
      await expect(store.insertKey(newKey('team'))).rejects.toThrow(NameTaken);
      await store.updateKey(first.id, { revokedAt: 5 });
      const second = await store.insertKey(newKey('team'));
      await expect(store.updateKey(first.id, { revokedAt: null })).rejects.toThrow(NameTaken);
      expect((await store.listKeys()).map((key) => [key.id, key.revokedAt])).toEqual([
        [first.id, 5],
        [second.id, null],
      ]);
    });

    it('change only what a change names', async () => {
      const stored = await store.insertKey(newKey('one', { limits: { concurrency: 3 } }));
      const changed = await store.updateKey(stored.id, { digests: [digest('c'), digest('a')], hint: 'new1' });
      expect(changed).toEqual({ ...stored, digests: [digest('c'), digest('a')], hint: 'new1' });
      expect(await store.findKey(stored.id)).toEqual(changed);
      expect(await store.updateKey(stored.id, { limits: {} })).toMatchObject({ limits: {} });
      expect(await store.updateKey(9_999, { hint: 'x' })).toBeNull();
    });

    it('of the config are mirrored: added, changed, revoked, brought back', async () => {
      const [a, b] = (await store.labelIds([
        { kind: 'key', name: 'a' },
        { kind: 'key', name: 'b' },
      ])) as [number, number];
      const row = (id: number, name: string): VirtualKeyRow => ({
        ...newKey(name),
        id,
        source: 'config',
        revokedAt: null,
      });
      const api = await store.insertKey(newKey('api'));
      await store.mirrorConfigKeys([row(a, 'a'), row(b, 'b')], 10);
      await store.mirrorConfigKeys([{ ...row(a, 'b'), models: ['m'] }], 20);
      const state = async () =>
        (await store.listKeys()).map((key) => [key.id, key.name, key.models, key.revokedAt]);
      expect(await state()).toEqual([
        [a, 'b', ['m'], null],
        [b, 'b', ['*'], 20],
        [api.id, 'api', ['*'], null],
      ]);
      await store.mirrorConfigKeys([row(b, 'b')], 30);
      expect((await state()).slice(0, 2)).toEqual([
        [a, 'b', ['m'], 30],
        [b, 'b', ['*'], null],
      ]);
      expect(await store.updateKey(a, { hint: 'no' })).toBeNull();
      await expect(store.mirrorConfigKeys([row(b, 'api')], 40)).rejects.toThrow(NameTaken);
      expect((await state())[1]).toEqual([b, 'b', ['*'], null]);
    });

    it('are noticed when another process changes them', async () => {
      const before = await store.changeCounter();
      await store.insertKey(newKey('own'));
      expect(await store.changeCounter()).toBe(before);
      const other = await place.open();
      await other.insertKey(newKey('theirs'));
      await other.close();
      expect(await store.changeCounter()).not.toBe(before);
    });
  });
});
