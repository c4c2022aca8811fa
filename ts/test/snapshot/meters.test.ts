import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../../src/bridge/generated/snapshot.js';
import { parseConfig } from '../../src/config/load.js';
import { OPEN_SCOPE, type Entity } from '../../src/governance/entity.js';
import { readBudget } from '../../src/governance/meter-text.js';
import type { VirtualKeyRow } from '../../src/governance/ports.js';
import { compileSnapshot } from '../../src/snapshot/compile.js';
import { LabelIds, labelsOf } from '../../src/snapshot/labels.js';
import { surroundings } from '../config/surroundings.js';

interface Stored {
  readonly keys?: readonly VirtualKeyRow[];
  readonly entities?: readonly Entity[];
}

/** The snapshot, with names in place of ids of meters. */
function compile(text: string, { keys = [], entities = [] }: Stored = {}) {
  const { config, problems } = parseConfig(text, '/c/sluice.yaml', surroundings({ KEY: 'x'.repeat(30) }));
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  const names = labelsOf(config!, { keys, entities });
  const ids = new LabelIds(
    names,
    names.map((_, at) => at + 1),
  );
  const snapshot = compileSnapshot({
    config: config!,
    keys,
    entities,
    ids,
    version: 1,
    demoBaseUrl: 'http://x',
  });
  const words = new Map(snapshot.meters?.map(({ id, name }) => [id, name]));
  expect(words.size).toBe(snapshot.meters?.length);
  return { snapshot, named: (meters: number[] | undefined) => meters?.map((id) => words.get(id)) };
}

function key(id: number, change: Partial<VirtualKeyRow>): VirtualKeyRow {
  const digests = [{ sha256: id.toString(16).padStart(64, '0'), expiresAt: null }];
  const rest = { models: ['*'], limits: {}, revokedAt: null, source: 'api', createdAt: 0, hint: '' } as const;
  return { id, name: `key-${id}`, digests, ...rest, ...OPEN_SCOPE, ...change };
}

const keyNamed = ({ keys }: Snapshot, name: string) => keys.find((one) => one.name === name);

const COMPANY = `
providers:
  demo: { rate_limits: [{ requests: 9, window: 1m }] }
  mine:
    base_url: https://mine.example
    keys: [{ name: main, key: env:KEY, budgets: [{ usd: 7, window: day }] }]
models:
  fast: { targets: [demo/x], budgets: [{ name: fast, usd: 3, window: month, mode: soft }] }
customers: { acme: { budgets: [{ name: yearly, usd: 5000, window: year, time_zone: Europe/Berlin, mode: strict, status: 402 }] } }
teams: { search: { customer: acme, models: [gpt-*], routes: [chat_completions, embeddings], rate_limits: [{ tokens: 2000000, window: day }] } }
users: { alice: { team: search, providers: [mine] } }
tags: { batch: { rate_limits: [{ concurrency: 10 }] } }
keys:
  - name: a
    sha256: "${'a'.repeat(64)}"
    owner: { user: alice }
    tags: [batch]
    models: [gpt-4o, o3]
    routes: [chat_completions, models]
    networks: [10.0.0.0/8]
    budgets: [{ usd: 1.5, window: 30d }]
  - { name: b, sha256: "${'b'.repeat(64)}" }
settings: { unpriced: allow }`;

describe('meters', () => {
  it('hold for a key when its user, team, customer or a tag has them', () => {
    const { snapshot, named } = compile(COMPANY);
    expect(named(keyNamed(snapshot, 'a')?.meters)).toEqual([
      'budget "usd/30d" of key "a"',
      'rate limit "tokens/day" of team "search"',
      'budget "yearly" of customer "acme"',
      'rate limit "concurrency" of tag "batch"',
    ]);
    expect(keyNamed(snapshot, 'b')).not.toHaveProperty('meters');
    expect(named(snapshot.models[0]?.meters)).toEqual(['budget "fast" of model "fast"']);
    const [demo, mine] = snapshot.providers;
    expect(named(demo?.meters)).toEqual(['rate limit "requests/1m" of provider "demo"']);
    expect(named(mine?.keys[0]?.meters)).toEqual(['budget "usd/day" of provider key "mine/main"']);
  });

  it('are in the terms of the data plane', () => {
    const { snapshot } = compile(COMPANY);
    const meter = (name: string) => snapshot.meters?.find((one) => one.name === name);
    expect(snapshot.settings.unpriced).toBe('allow');
    expect(meter('budget "yearly" of customer "acme"')).toEqual({
      id: expect.any(Number) as number,
      name: 'budget "yearly" of customer "acme"',
      measure: { kind: 'cost' },
      limit: 5_000_000_000,
      window: { kind: 'calendar', unit: 'year', time_zone: 'Europe/Berlin' },
      mode: 'strict',
      refusal: 'payment_required',
    });
    expect(meter('rate limit "tokens/day" of team "search"')?.measure).toMatchObject({
      kind: 'tokens',
      weights: { input: 1_000, reasoning: 1_000 },
    });
    expect(meter('rate limit "requests/1m" of provider "demo"')).toMatchObject({
      measure: { kind: 'requests' },
      window: { kind: 'rate', period_ms: 60_000 },
      mode: 'normal',
      refusal: 'too_many_requests',
    });
    expect(meter('budget "usd/30d" of key "a"')?.window).toEqual({
      kind: 'fixed',
      period_ms: 2_592_000_000,
      anchor_ms: 0,
    });
  });

  it('keep their ids when amounts, modes and places in the file change', () => {
    const one = compile('teams: { a: { budgets: [{ usd: 1, window: day }, { usd: 2, window: month }] } }');
    const two = compile(
      'teams: { a: { budgets: [{ usd: 5, window: month }, { usd: 9, window: day, mode: soft }] } }',
    );
    const windows = ({ snapshot }: typeof one) =>
      snapshot.meters?.map(({ name }) => name).toSorted((a, b) => a.localeCompare(b));
    expect(windows(two)).toEqual(windows(one));
  });
});

describe('a key', () => {
  it('is narrowed to what everything it belongs to allows', () => {
    const { snapshot } = compile(COMPANY);
    expect(keyNamed(snapshot, 'a')).toMatchObject({
      models: ['gpt-4o'],
      providers: ['mine'],
      routes: ['chat_completions'],
      networks: ['10.0.0.0/8'],
    });
    expect(keyNamed(snapshot, 'b')).toMatchObject({ models: ['*'] });
    expect(keyNamed(snapshot, 'b')).not.toHaveProperty('providers');
  });

  it.each(['customers: { acme: { disabled: true } }', 'tags: { batch: { disabled: true } }'])(
    'is left out under %s',
    (disabled) => {
      const others = disabled.startsWith('tags') ? 'customers: { acme: }' : 'tags: { batch: }';
      const text = `${disabled}
${others}
teams: { search: { customer: acme } }
keys:
  - { name: a, sha256: "${'a'.repeat(64)}", owner: { team: search }, tags: [batch] }
  - { name: b, sha256: "${'b'.repeat(64)}" }`;
      expect(compile(text).snapshot.keys.map(({ name }) => name)).toEqual(['b']);
    },
  );

  it('of the store may belong to an entity of the file, and to one of the store', () => {
    const { rule } = readBudget({ usd: 2, window: 'month' });
    const team: Entity = {
      kind: 'team',
      name: 'ops',
      parent: { kind: 'customer', name: 'acme' },
      models: null,
      providers: null,
      routes: null,
      rules: [rule!],
      metadata: {},
      disabled: false,
      source: 'api',
    };
    const keys = [
      key(900, { owner: { kind: 'team', name: 'ops' }, rules: [rule!] }),
      key(901, { owner: { kind: 'team', name: 'gone' } }),
    ];
    const { snapshot, named } = compile(COMPANY, { keys, entities: [team] });
    expect(named(keyNamed(snapshot, 'key-900')?.meters)).toEqual([
      'budget "usd/month" of key "key-900"',
      'budget "usd/month" of team "ops"',
      'budget "yearly" of customer "acme"',
    ]);
    expect(keyNamed(snapshot, 'key-901')).toBeUndefined();
  });

  it('of ten thousand is compiled in time', () => {
    const { rule } = readBudget({ usd: 2, window: 'month' });
    const keys = Array.from({ length: 10_000 }, (_, at) =>
      key(1_000_000 + at, { owner: { kind: 'user', name: 'alice' }, rules: [rule!] }),
    );
    const started = performance.now();
    const { snapshot } = compile(COMPANY, { keys });
    expect(snapshot.meters?.length).toBe(10_007);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
