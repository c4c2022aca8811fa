import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../../src/bridge/generated/snapshot.js';
import type { Config } from '../../src/config/config.js';
import { parseConfig } from '../../src/config/load.js';
import { OPEN_SCOPE } from '../../src/governance/entity.js';
import type { LabelName, VirtualKeyRow } from '../../src/governance/ports.js';
import { compileSnapshot, startOptions } from '../../src/snapshot/compile.js';
import { configKeyRows } from '../../src/snapshot/keys.js';
import { targetPrice } from '../../src/snapshot/prices.js';
import { LabelIds, labelsOf } from '../../src/snapshot/labels.js';
import { configPathOf } from '../../src/snapshot/refusal.js';
import { modelViews, providerViews } from '../../src/snapshot/views.js';
import { CERTIFICATES } from '../config/certificates.js';
import { surroundings, type FileTable } from '../config/surroundings.js';

const SECRET = 'provider-secret-0123456789';

function configOf(text: string, variables: Record<string, string> = {}, files: FileTable = {}): Config {
  const { config, problems } = parseConfig(
    text,
    '/c/sluice.yaml',
    surroundings({ KEY: SECRET, ...variables }, files),
  );
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  return config!;
}

/** Ids that last from one call to the next, as a store gives them. */
class Ids {
  private readonly given = new Map<string, number>();

  of(config: Config): LabelIds {
    const names = labelsOf(config);
    return new LabelIds(
      names,
      names.map((name) => this.id(name)),
    );
  }

  private id({ kind, name }: LabelName): number {
    const key = `${kind} ${name}`;
    this.given.set(key, this.given.get(key) ?? this.given.size + 1);
    return this.given.get(key) ?? 0;
  }
}

function compile(config: Config, keys: readonly VirtualKeyRow[] = [], ids = new Ids()): Snapshot {
  return compileSnapshot({
    config,
    keys,
    ids: ids.of(config),
    version: 7,
    demoBaseUrl: 'http://127.0.0.1:1/v1',
  });
}

function keyRow(id: number, change: Partial<VirtualKeyRow> = {}): VirtualKeyRow {
  const digests = [{ sha256: id.toString(16).padStart(64, '0'), expiresAt: null }];
  const rest = { models: ['*'], limits: {}, revokedAt: null, source: 'api', createdAt: 0, hint: '' } as const;
  return { id, name: `key-${id}`, digests, ...rest, ...OPEN_SCOPE, ...change };
}

const WHOLE = `
providers:
  mine:
    base_url: https://mine.example/v1
    keys: [{ key: env:KEY, weight: 3 }, { key: env:KEY2, name: spare, weight: 0 }]
    headers: { X-Team: blue }
    usage_in_stream: false
    extra_ca_file: ca.pem
    idle_connections: 9
    timeouts: { connect: 1s, first_byte: 2s, between_chunks: 3s, total: 4s, idle: 5s }
  demo:
models:
  fast: { aliases: [quick], targets: [mine/large, { provider: demo, tier: 1, weight: 2 }] }
  any/*: mine/*
keys:
  - { name: ci, sha256: "${'c'.repeat(64)}", models: [fast], expires_at: 2030-01-01 }
limits: { per_key: { concurrency: 4 } }`;

describe('compileSnapshot', () => {
  it('says where calls go that go elsewhere, and what bodies name there', () => {
    const config = configOf('providers: { ragflow: { key: k, paths: { chat: "/a/{model}", rerank: /r } } }');
    expect(compile(config).providers[0]).toMatchObject({
      paths: [
        { call: 'chat', path: '/a/{model}' },
        { call: 'rerank', path: '/r' },
      ],
    });
    const known = compile(configOf('providers: { ragflow: { key: k }, groq: { key: k } }')).providers;
    expect(known[0]).toMatchObject({ model_in_body: 'model' });
    expect(known[1]).not.toHaveProperty('paths');
    expect(known[1]).not.toHaveProperty('model_in_body');
  });

  it('resolves everything', () => {
    const config = configOf(WHOLE, { KEY2: 'second' }, { '/c/ca.pem': CERTIFICATES.certificate });
    expect(compile(config, [keyRow(90, { limits: { requestsPerMinute: 5 } })])).toEqual({
      version: 7,
      prices: 11,
      settings: {
        max_request_body_bytes: 33_554_432,
        max_response_body_bytes: 67_108_864,
        max_event_bytes: 8_388_608,
        header_timeout_ms: 10_000,
        body_timeout_ms: 120_000,
        idle_timeout_ms: 75_000,
        write_timeout_ms: 60_000,
        max_requests_per_connection: 100_000,
        max_auth_failures_per_minute: 60,
        require_key: true,
        translate_unsupported: 'drop',
        unpriced: 'refuse_under_budget',
      },
      providers: [
        {
          id: 1,
          name: 'mine',
          dialect: 'openai',
          base_url: 'https://mine.example/v1',
          auth: { kind: 'bearer' },
          keys: [
            { id: 2, secret: SECRET, weight: 3 },
            { id: 3, secret: 'second', weight: 0 },
          ],
          headers: [{ name: 'x-team', value: 'blue' }],
          usage_in_stream: false,
          extra_ca_pem: CERTIFICATES.certificate,
          timeouts: { connect_ms: 1_000, first_byte_ms: 2_000, between_chunks_ms: 3_000, total_ms: 4_000 },
          idle_timeout_ms: 5_000,
          max_idle_per_worker: 9,
        },
        {
          id: 4,
          name: 'demo',
          dialect: 'openai',
          base_url: 'http://127.0.0.1:1/v1',
          auth: { kind: 'none' },
          keys: [],
          headers: [],
          usage_in_stream: true,
          timeouts: {
            connect_ms: 5_000,
            first_byte_ms: 300_000,
            between_chunks_ms: 120_000,
            total_ms: 900_000,
          },
          idle_timeout_ms: 30_000,
          max_idle_per_worker: 256,
        },
      ],
      models: [
        {
          id: 5,
          name: 'fast',
          aliases: ['quick'],
          targets: [
            { id: 6, provider: 1, upstream_model: 'large', weight: 1, tier: 0 },
            { id: 7, provider: 4, upstream_model: 'fast', weight: 2, tier: 1 },
          ],
        },
        {
          id: 8,
          name: 'any/*',
          aliases: [],
          targets: [{ id: 9, provider: 1, upstream_model: '*', weight: 1, tier: 0 }],
        },
      ],
      keys: [
        {
          id: 10,
          name: 'ci',
          digests: [{ sha256: 'c'.repeat(64), expires_at_ms: Date.UTC(2030, 0, 1) }],
          models: ['fast'],
          limits: { concurrency: 4 },
        },
        {
          id: 90,
          name: 'key-90',
          digests: keyRow(90).digests.map(({ sha256 }) => ({ sha256 })),
          models: ['*'],
          limits: { concurrency: 4, requests_per_minute: 5 },
        },
      ],
      meters: [],
    });
  });

  it('leaves out revoked keys, mirrored ones, and secrets that the file has', () => {
    const config = configOf(`models: { a: demo }\nkeys: [{ name: x, sha256: "${'c'.repeat(64)}" }]`);
    const shared = { sha256: 'c'.repeat(64), expiresAt: null };
    const snapshot = compile(config, [
      keyRow(93, { digests: [shared, { sha256: 'd'.repeat(64), expiresAt: 5 }] }),
      keyRow(92, { revokedAt: 1 }),
      keyRow(91, { source: 'config' }),
    ]);
    expect(snapshot.keys.map(({ id, digests }) => [id > 90 ? id : 'file', digests])).toEqual([
      ['file', [{ sha256: 'c'.repeat(64) }]],
      [93, [{ sha256: 'd'.repeat(64), expires_at_ms: 5 }]],
    ]);
  });

  it('numbers a second target of the same name', () => {
    const config = configOf('models: { a: { targets: [demo/x, { provider: demo, model: x, tier: 1 }] } }');
    expect(
      labelsOf(config)
        .filter(({ kind }) => kind === 'target')
        .map(({ name }) => name),
    ).toEqual(['a -> demo/x', 'a -> demo/x #2']);
  });

  it('says which name has no id', () => {
    expect(() => new LabelIds([], []).id('model', 'x')).toThrow('no id for the model "x"');
  });
});

describe('the models of the catalogue', () => {
  const variables = { ANTHROPIC_API_KEY: SECRET, GEMINI_API_KEY: SECRET, OPENAI_API_KEY: SECRET };

  it('give bounds, quirks and facts to models that are spelt out', () => {
    const text = `
      providers: { anthropic: , gemini: , openai: }
      models:
        smart: { targets: [anthropic/claude-opus-4-6, { provider: gemini, model: gemini-3-pro-preview, tier: 1 }] }
        own: { targets: [{ provider: openai, model: gpt-5, max_output_tokens: 7 }] }
        new: anthropic/claude-unheard-of-9`;
    const { models } = compile(configOf(text, variables));
    expect(models).toMatchObject([
      {
        name: 'smart',
        info: { context_window: 1_000_000, max_output_tokens: 128_000, owned_by: 'anthropic' },
        targets: [
          { quirks: ['adaptive_thinking'], max_output_tokens: 128_000 },
          { quirks: ['thinking_level'], max_output_tokens: 65_535 },
        ],
      },
      { name: 'own', info: { context_window: 400_000 }, targets: [{ max_output_tokens: 7 }] },
      { name: 'new', targets: [{ quirks: ['adaptive_thinking'] }] },
    ]);
    expect(models).toHaveLength(3);
    expect(models[2]).not.toHaveProperty('info');
  });

  it('are spelt out under a pattern, with its id and targets of their own, unless an exact name has them', () => {
    const text = `
      providers: { anthropic: , openai: }
      models: { "claude-*": anthropic, "a/*": anthropic/*, "gpt-*": openai, claude-opus-4-6: openai/gpt-5 }`;
    const config = configOf(text, variables);
    const ids = new Ids();
    const { models } = compile(config, [], ids);
    const labelled = (label: string) => ids.of(config).id('target', label);
    const named = (name: string) => models.filter((model) => model.name === name);
    const [claude] = named('claude-*');
    const priceOf = (model: string) =>
      targetPrice({ ...config.models[0]!.targets[0]!, upstreamModel: model }, config.providers[0], []);
    expect(priceOf('claude-opus-4-8')?.standard[0]?.rates.input).toBe(5_000_000);
    expect(named('claude-opus-4-8')).toEqual([
      {
        id: claude?.id,
        name: 'claude-opus-4-8',
        aliases: [],
        info: { context_window: 1_000_000, max_output_tokens: 128_000, owned_by: 'anthropic' },
        targets: [
          {
            ...claude?.targets[0],
            id: labelled('claude-* -> anthropic (claude-opus-4-8)'),
            upstream_model: 'claude-opus-4-8',
            quirks: ['adaptive_thinking'],
            max_output_tokens: 128_000,
            price: priceOf('claude-opus-4-8'),
          },
        ],
      },
    ]);
    expect(named('a/claude-haiku-4-5')[0]).toMatchObject({
      id: named('a/*')[0]?.id,
      targets: [{ upstream_model: 'claude-haiku-4-5', max_output_tokens: 64_000 }],
    });
    expect(named('claude-opus-4-6').map(({ targets }) => targets[0]?.upstream_model)).toEqual(['gpt-5']);
    expect(named('gpt-5')[0]?.targets).toMatchObject([
      { id: labelled('gpt-* -> openai (gpt-5)'), upstream_model: 'gpt-5' },
    ]);
    expect(named('claude-opus-4-6')[0]?.targets[0]?.id).toBe(labelled('claude-opus-4-6 -> openai/gpt-5'));
    expect(new Set(models.map(({ name }) => name)).size).toBe(models.length);
  });

  it('are those of the longer pattern, where two stand for them', () => {
    const text = `
      providers: { anthropic: , openai: }
      models: { "*": anthropic, "claude-opus-*": openai }`;
    const { models } = compile(configOf(text, variables));
    const names = models.map(({ name }) => name);
    expect(names).toContain('claude-haiku-4-5');
    expect(names).not.toContain('claude-opus-4-8');
  });
});

describe('any configuration', () => {
  const providerName = fc.constantFrom('alpha', 'beta', 'gamma');
  const target = fc.record({
    provider: providerName,
    model: fc.option(fc.constantFrom('m1', 'm2', 'a/b'), { nil: undefined }),
    weight: fc.integer({ min: 1, max: 5 }),
    tier: fc.integer({ min: 0, max: 3 }),
  });
  const models = fc.dictionary(
    fc.constantFrom('one', 'two', 'three', 'pre-*', '*'),
    fc.record({ targets: fc.array(target, { minLength: 1, maxLength: 4 }) }),
    { minKeys: 1 },
  );
  const document = models.map((served) => ({
    providers: Object.fromEntries(
      ['alpha', 'beta', 'gamma'].map((name) => [
        name,
        { base_url: `https://${name}.example`, key: 'env:KEY' },
      ]),
    ),
    models: served,
  }));
  const keys = fc
    .uniqueArray(fc.integer({ min: 1_000, max: 9_999 }), { maxLength: 5 })
    .map((ids) => ids.map((id) => keyRow(id)));

  it('compiles to the same snapshot every time, in whatever order the keys come', () => {
    fc.assert(
      fc.property(document, keys, (data, rows) => {
        const config = configOf(JSON.stringify(data));
        const ids = new Ids();
        expect(compile(config, rows.toReversed(), ids)).toEqual(compile(config, rows, ids));
      }),
    );
  });

  it('has only targets of listed providers, ascending tiers, and no id twice or 0', () => {
    fc.assert(
      fc.property(document, keys, (data, rows) => {
        const { providers, models: compiled, keys: virtual } = compile(configOf(JSON.stringify(data)), rows);
        const targets = compiled.flatMap((model) => model.targets);
        const listed = new Set(providers.map(({ id }) => id));
        expect(targets.every(({ provider }) => listed.has(provider))).toBe(true);
        for (const { targets: own } of compiled) {
          expect(own.map(({ tier }) => tier)).toEqual(own.map(({ tier }) => tier).toSorted((a, b) => a - b));
        }
        const ids = [providers, providers.flatMap((provider) => provider.keys), compiled, targets, virtual]
          .flat()
          .map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
        expect(ids.every((id) => id > 0)).toBe(true);
      }),
    );
  });

  it('keeps every id when something else is added, removed or reweighted', () => {
    fc.assert(
      fc.property(document, document, (before, after) => {
        const ids = new Ids();
        const idsOf = (data: unknown): Map<string, number> => {
          const config = configOf(JSON.stringify(data));
          const labels = ids.of(config);
          return new Map(
            labelsOf(config).map(({ kind, name }) => [`${kind} ${name}`, labels.id(kind, name)]),
          );
        };
        const [first, second] = [idsOf(before), idsOf(after)];
        for (const [name, id] of second) if (first.has(name)) expect(id).toBe(first.get(name));
      }),
    );
  });
});

describe('startOptions', () => {
  it('carries listeners, workers and the bound on connections', () => {
    const text = `
      workers: 2
      limits: { connections: 50 }
      listeners: { data: [{ address: "[::1]:1" }, { address: ":2", tls: { certificate_file: c, private_key_file: k } }] }`;
    const files = { '/c/c': CERTIFICATES.certificate, '/c/k': CERTIFICATES.key };
    expect(startOptions(configOf(text, {}, files))).toEqual({
      listeners: [
        { address: '[::1]:1' },
        {
          address: '0.0.0.0:2',
          tls: { certificate_pem: CERTIFICATES.certificate, private_key_pem: CERTIFICATES.key },
        },
      ],
      workers: 2,
      max_connections: 50,
    });
  });
});

describe('views', () => {
  it('show no secret and at most the end of a key', () => {
    const config = configOf(WHOLE, { KEY2: 'short' }, { '/c/ca.pem': CERTIFICATES.certificate });
    const ids = new Ids().of(config);
    const shown = JSON.stringify([
      providerViews(config, ids),
      modelViews(config, ids),
      configKeyRows(config, ids, 0),
    ]);
    expect(shown).not.toContain(SECRET);
    expect(shown).not.toContain('short');
    expect(providerViews(config, ids)[0]).toEqual({
      id: 1,
      name: 'mine',
      dialect: 'openai',
      baseUrl: 'https://mine.example/v1',
      auth: 'bearer',
      keys: [
        { id: 2, weight: 3, hint: '6789' },
        { id: 3, weight: 0, hint: '' },
      ],
    });
    expect(modelViews(config, ids)[0]?.targets[1]).toEqual({
      id: 7,
      provider: 'demo',
      upstreamModel: 'fast',
      weight: 2,
      tier: 1,
    });
  });
});

describe('configPathOf', () => {
  const config = configOf(
    'providers: { demo: }\nmodels: { a: demo, "b*": demo }\nkeys: [{ name: x, sha256: "' +
      'c'.repeat(64) +
      '" }]',
  );

  it.each([
    ['listeners[0].address', ['listeners', 'data']],
    ['providers[0].base_url', ['providers', 'demo']],
    ['models[1].targets[0]', ['models', 'b*']],
    ['models[9]', []],
    ['keys[0].digests[0]', ['keys', 0]],
    ['keys[1]', []],
    ['settings.max_event_bytes', []],
    ['', []],
  ])('%s is at %j', (path, expected) => {
    expect(configPathOf(path, config)).toEqual(expected);
  });
});
