import { describe, expect, it } from 'vitest';
import { allowedBy, Entities, type Entity, type EntityRef } from '../../src/governance/entity.js';
import { isNetwork, normalNetwork } from '../../src/governance/network.js';

function entity(ref: EntityRef, change: Partial<Entity> = {}): Entity {
  const settings = { models: null, providers: null, routes: null, rules: [], metadata: {}, disabled: false };
  return { ...ref, parent: null, ...settings, source: 'config', ...change };
}

const acme = entity({ kind: 'customer', name: 'acme' }, { models: ['gpt-*', 'claude-*'] });
const search = entity(
  { kind: 'team', name: 'search' },
  { parent: { kind: 'customer', name: 'acme' }, models: ['gpt-*', 'o3'] },
);
const alice = entity({ kind: 'user', name: 'alice' }, { parent: { kind: 'team', name: 'search' } });
const batch = entity({ kind: 'tag', name: 'batch' }, { models: ['*-mini'] });
const all = [acme, search, alice, batch];

describe('a chain', () => {
  it('goes from the owner up to the customer, and has the tags besides', () => {
    const chain = new Entities(all).chain({ kind: 'user', name: 'alice' }, ['batch']);
    expect(chain).toEqual({ owners: [alice, search, acme], tags: [batch], open: true });
  });

  it('of a key without owner or tags is empty and open', () => {
    expect(new Entities(all).chain(null, [])).toEqual({ owners: [], tags: [], open: true });
  });

  it.each(all)('is closed when $kind $name is disabled or gone', (one) => {
    const disabled = all.map((other) => (other === one ? { ...one, disabled: true } : other));
    const gone = all.filter((other) => other !== one);
    for (const entities of [disabled, gone])
      expect(new Entities(entities).chain({ kind: 'user', name: 'alice' }, ['batch']).open).toBe(false);
  });

  it('allows only what every link allows', () => {
    expect(allowedBy([alice, search, acme]).models).toEqual(['gpt-*']);
    expect(allowedBy([alice, search, acme, batch]).models).toEqual(['gpt-*-mini', 'gpt-mini']);
    expect(allowedBy([alice])).toEqual({ models: null, providers: null, routes: null });
  });
});

describe('networks', () => {
  it.each<[string, string | null]>([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.0.0.7', '10.0.0.7/32'],
    ['::1', '::1/128'],
    ['2001:db8::/32', '2001:db8::/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['10.0.0.0/33', null],
    ['10.0.0.0/', null],
    ['10.0.0/8', null],
    ['fe80::1%eth0', null],
    ['example.com', null],
  ])('%s is %s', (text, normal) => {
    expect(isNetwork(text)).toBe(normal !== null);
    if (normal !== null) expect(normalNetwork(text)).toBe(normal);
  });
});
