import { afterEach, beforeEach, expect, it } from 'vitest';
import { OPEN_SCOPE, type EntityRef } from '../../src/governance/entity.js';
import type { MeterRule } from '../../src/governance/meter-rule.js';
import { readBudget, readRateLimit } from '../../src/governance/meter-text.js';
import { EntityTaken, type EntityRow } from '../../src/governance/ports.js';
import type { Store } from '../../src/store/index.js';
import { describeEach, type StorePlace } from './engines.js';

const RULES: readonly MeterRule[] = [
  readBudget({ usd: '49.9', window: 'month', time_zone: 'Europe/Berlin', mode: 'strict', status: 402 }).rule!,
  readRateLimit({ weighted_tokens: { input: 1, output: 5, limit: 9 }, window: '7d', kind: 'sliding' }).rule!,
];

function row(ref: EntityRef, over: Partial<EntityRow> = {}): EntityRow {
  const open = { parent: null, models: null, providers: null, routes: null, rules: [], metadata: {} };
  const times = { createdAt: 1_000, updatedAt: 1_000, removedAt: null };
  return { ...ref, ...open, disabled: false, source: 'api', ...times, ...over };
}

const ACME = row({ kind: 'customer', name: 'acme' });
const SEARCH = row(
  { kind: 'team', name: 'search' },
  {
    parent: { kind: 'customer', name: 'acme' },
    models: ['gpt-*'],
    providers: [],
    routes: ['chat_completions'],
    rules: RULES,
    metadata: { cost_center: '4711' },
    disabled: true,
  },
);

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

  it('gives entities back as they were stored', async () => {
    expect(await store.insertEntity(SEARCH)).toBeNull();
    await store.insertEntity(ACME);
    expect(await store.listEntities()).toEqual([ACME, SEARCH]);
  });

  it('holds a name once per kind, and lets a removed one come again', async () => {
    await store.insertEntity(ACME);
    await expect(store.insertEntity(ACME)).rejects.toThrow(EntityTaken);
    await store.insertEntity(row({ kind: 'team', name: 'acme' }));
    const removed = { ...ACME, removedAt: 5 };
    expect(await store.updateEntity(removed)).toEqual(ACME);
    expect(await store.updateEntity(ACME)).toBeNull();
    expect(await store.insertEntity({ ...ACME, createdAt: 7 })).toEqual(removed);
  });

  it('takes changes back', async () => {
    await store.insertEntity(ACME);
    await store.updateEntity({ ...ACME, disabled: true });
    await store.restoreEntity(ACME, ACME);
    expect(await store.listEntities()).toEqual([ACME]);
    await store.restoreEntity(ACME, null);
    expect(await store.listEntities()).toEqual([]);
  });

  it('mirrors those of the file: added, changed, removed, brought back', async () => {
    const filed = (name: string, over: Partial<EntityRow> = {}) =>
      row({ kind: 'team', name }, { source: 'config', ...over });
    await store.insertEntity(ACME);
    await store.mirrorConfigEntities([filed('a'), filed('b')], 10);
    await store.mirrorConfigEntities([filed('a', { models: ['m'], createdAt: 20 })], 20);
    expect(await store.listEntities()).toEqual([
      ACME,
      filed('a', { models: ['m'] }),
      filed('b', { removedAt: 10 + 10 }),
    ]);
    await store.mirrorConfigEntities([filed('b')], 30);
    const state = (await store.listEntities()).map(({ name, removedAt }) => [name, removedAt]);
    expect(state).toEqual([
      ['acme', null],
      ['a', 30],
      ['b', null],
    ]);
  });

  it('keeps whose a key is, and what it is narrowed to', async () => {
    const scope = {
      owner: { kind: 'user', name: 'alice' },
      tags: ['batch'],
      providers: ['openai'],
      routes: ['embeddings'],
      networks: ['10.0.0.0/8'],
      rules: RULES,
      metadata: { note: 'x' },
    } as const;
    const digests = [{ sha256: 'a'.repeat(64), expiresAt: null }];
    const rest = { digests, models: ['*'], limits: {}, createdAt: 1_000, hint: 'wxyz' };
    const key = await store.insertKey({ name: 'one', ...rest, ...scope });
    expect(await store.findKey(key.id)).toMatchObject(scope);
    const changed = await store.updateKey(key.id, { owner: null, tags: [], rules: [] });
    expect(changed).toMatchObject({ owner: null, tags: [], rules: [], networks: ['10.0.0.0/8'] });
    expect(await store.findKey(key.id)).toEqual(changed);
    const open = await store.insertKey({ name: 'two', ...rest, ...OPEN_SCOPE });
    expect(await store.findKey(open.id)).toMatchObject(OPEN_SCOPE);
  });
});
