import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.js';
import { loadConfig, parseConfig } from '../../src/config/load.js';
import { OPEN_SCOPE } from '../../src/governance/entity.js';
import { digestOf } from '../../src/governance/key-secret.js';
import { CERTIFICATES } from './certificates.js';
import { NOW, surroundings, type FileTable } from './surroundings.js';

const SECRET = 'a-secret-of-some-length-0123';

function read(text: string, variables: Record<string, string> = {}, files: FileTable = {}): Config {
  const { config, problems } = parseConfig(text, '/etc/sluice/sluice.yaml', surroundings(variables, files));
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  return config!;
}

describe('providers', () => {
  it('are found in the environment, in the order of the catalogue', () => {
    const { providers } = read('', { XAI_API_KEY: 'x', OPENAI_API_KEY: ' o ', GROQ_API_KEY: '', HOME: '/' });
    expect(
      providers.map(({ name, baseUrl, keys, foundIn }) => [name, baseUrl, keys[0]?.secret, foundIn]),
    ).toEqual([
      ['openai', 'https://api.openai.com/v1', 'o', 'OPENAI_API_KEY'],
      ['xai', 'https://api.x.ai/v1', 'x', 'XAI_API_KEY'],
    ]);
  });

  it('of the file are the only ones, and known names need no settings', () => {
    const { providers } = read('providers:\n  groq:\n', { GROQ_API_KEY: 'g', OPENAI_API_KEY: 'o' });
    expect(providers.map(({ name, keys }) => [name, keys])).toEqual([
      ['groq', [{ name: '1', secret: 'g', weight: 1, rules: [] }]],
    ]);
  });

  it('take every setting', () => {
    const text = `
      timeouts: { provider: { connect: 1s, total: 0 } }
      providers:
        mine:
          base_url: https://mine.example/v1//
          auth: header:X-Key
          keys: [{ key: "env:A", weight: 3 }, { key: "file:b", name: second }]
          headers: { X-Team: "env:TEAM" }
          usage_in_stream: false
          paths: { chat: "/serve/{model}", embeddings: /embed }
          model_in_body: fixed
          extra_ca_file: ca.pem
          idle_connections: 7
          timeouts: { connect: 2s, idle: 9s }`;
    const files = { '/etc/sluice/b': 'secret-b\n', '/etc/sluice/ca.pem': CERTIFICATES.certificate };
    expect(read(text, { A: 'secret-a', TEAM: 'blue' }, files).providers[0]).toEqual({
      name: 'mine',
      dialect: 'openai',
      baseUrl: 'https://mine.example/v1',
      auth: { kind: 'header', name: 'x-key' },
      authText: 'header:X-Key',
      keys: [
        { name: '1', secret: 'secret-a', weight: 3, rules: [] },
        { name: 'second', secret: 'secret-b', weight: 1, rules: [] },
      ],
      credential: null,
      headers: [{ name: 'x-team', value: 'blue' }],
      usageInStream: false,
      quirks: [],
      paths: { chat: '/serve/{model}', embeddings: '/embed' },
      modelInBody: 'fixed',
      apiVersion: null,
      defaultMaxTokens: null,
      extraCaPem: CERTIFICATES.certificate,
      timeouts: { connect: 2_000, firstByte: 300_000, betweenChunks: 120_000, total: 0, idle: 9_000 },
      maxIdlePerWorker: 7,
      rules: [],
      foundIn: null,
    });
  });

  it('may be the built-in demo beside others', () => {
    const { providers } = read('providers: { demo: , ollama: }');
    expect(providers.map(({ name, baseUrl, auth }) => [name, baseUrl, auth.kind])).toEqual([
      ['demo', null, 'none'],
      ['ollama', 'http://127.0.0.1:11434', 'none'],
    ]);
  });
});

describe('models', () => {
  const names = (config: Config): string[][] =>
    config.models.map(({ name, targets }) => [
      name,
      ...targets.map((to) => `${to.provider}/${to.upstreamModel ?? ''}`),
    ]);

  it('of a single provider are all names, with the prefix and without', () => {
    expect(names(read('providers: { ollama: }'))).toEqual([
      ['ollama/*', 'ollama/*'],
      ['*', 'ollama/'],
    ]);
  });

  it('of several providers need the prefix, except where the name says whose it is', () => {
    const found = names(read('', { OPENAI_API_KEY: 'o', GROQ_API_KEY: 'g', GEMINI_API_KEY: 'x' }));
    expect(found.slice(0, 4)).toEqual([
      ['openai/*', 'openai/*'],
      ['groq/*', 'groq/*'],
      ['gemini/*', 'gemini/*'],
      ['gpt-*', 'openai/'],
    ]);
    expect(found).toContainEqual(['gemini-*', 'gemini/']);
    expect(found.some(([name]) => name === '*')).toBe(false);
  });

  it('take targets in every spelling, sorted by tier', () => {
    const text = `
      models:
        a: openai/x/y
        b: openai
        gpt-*: openai
        p/*: openai/*
        c: { aliases: [d], targets: [{ provider: openai, model: z, tier: 2, weight: 5 }, openai/x, openai] }`;
    expect(read(text, { OPENAI_API_KEY: 'o' }).models).toEqual([
      { name: 'a', aliases: [], targets: [target('x/y')], rules: [] },
      { name: 'b', aliases: [], targets: [target('b')], rules: [] },
      { name: 'gpt-*', aliases: [], targets: [target(null)], rules: [] },
      { name: 'p/*', aliases: [], targets: [target('*')], rules: [] },
      {
        name: 'c',
        aliases: ['d'],
        targets: [target('x'), target('c'), { ...target('z'), tier: 2, weight: 5 }],
        rules: [],
      },
    ]);
  });

  function target(upstreamModel: string | null) {
    return { provider: 'openai', upstreamModel, weight: 1, tier: 0, maxOutputTokens: null as number | null };
  }
});

describe('keys', () => {
  it('take secrets, digests, a rotation, limits and expiry', () => {
    const text = `
      keys:
        - name: a
          secret: env:SECRET
          previous: { sha256: "${'A'.repeat(64)}", expires_at: 2026-06-02 }
          models: [gpt-*]
          limits: { requests_per_minute: 5, concurrency: unlimited }
          expires_at: 2027-01-01T00:00:00Z
        - { name: b, sha256: "${'b'.repeat(64)}", models: [] }
      limits: { per_key: { concurrency: 9, tokens_per_minute: 100 } }`;
    const { keys, keyDefaults } = read(text, { SECRET });
    expect(keyDefaults).toEqual({ concurrency: 9, tokensPerMinute: 100 });
    expect(keys).toEqual([
      {
        name: 'a',
        digests: [
          { sha256: digestOf(SECRET), expiresAt: Date.UTC(2027, 0, 1) },
          { sha256: 'a'.repeat(64), expiresAt: NOW + 86_400_000 },
        ],
        models: ['gpt-*'],
        limits: { requestsPerMinute: 5, tokensPerMinute: 100 },
        hint: '0123',
        ...OPEN_SCOPE,
      },
      {
        name: 'b',
        digests: [{ sha256: 'b'.repeat(64), expiresAt: null }],
        models: [],
        limits: { concurrency: 9, tokensPerMinute: 100 },
        hint: '',
        ...OPEN_SCOPE,
      },
    ]);
  });
});

describe('listeners', () => {
  it('may be several, with TLS, and the admin token may be in the environment', () => {
    const text = `
      data_dir: ../data
      listeners:
        data: [{ address: ":8080" }, { address: "[::1]:0", tls: { certificate_file: c.pem, private_key_file: k.pem } }]
        admin: { address: ":9000", allowed_hosts: [Admin.Internal], metrics: token }`;
    const files = { '/etc/sluice/c.pem': CERTIFICATES.certificate, '/etc/sluice/k.pem': CERTIFICATES.key };
    const config = read(text, { SLUICE_ADMIN_TOKEN: SECRET }, files);
    expect(config.start.listeners).toEqual([
      { address: { host: '0.0.0.0', port: 8080 }, tls: null },
      {
        address: { host: '::1', port: 0 },
        tls: { certificatePem: CERTIFICATES.certificate, privateKeyPem: CERTIFICATES.key },
      },
    ]);
    expect(config.admin).toEqual({
      address: { host: '0.0.0.0', port: 9000 },
      token: SECRET,
      allowedHosts: ['admin.internal'],
      metricsAccess: 'token',
    });
    expect(config.dataDir).toBe('/etc/data');
  });

  it('are refused where others could reach the admin API without a token, from the command line too', () => {
    const overrides = { adminAddress: '0.0.0.0:1' };
    const { config, problems } = parseConfig('', null, { ...surroundings(), overrides });
    expect(config).toBeNull();
    expect(problems.map(({ code }) => code)).toEqual(['admin_exposed']);
  });
});

describe('overrides', () => {
  it('win over the file and leave the rest of it', () => {
    const text =
      'listeners: { data: [{ address: ":1" }, { address: ":2" }], admin: { metrics: token } }\nworkers: 3';
    const overrides = { dataAddress: ':5', adminAddress: '127.0.0.1:6', dataDir: '/data', workers: 1 };
    const { config } = parseConfig(text, 'x.yaml', { ...surroundings(), overrides });
    expect(config?.start.listeners.map(({ address }) => address.port)).toEqual([5]);
    expect(config?.admin).toMatchObject({ address: { port: 6 }, metricsAccess: 'token' });
    expect([config?.dataDir, config?.start.workers]).toEqual(['/data', 1]);
  });
});

describe('loadConfig', () => {
  it('says why a file cannot be read', () => {
    const { config, draft, problems, files } = loadConfig('nowhere.yaml', surroundings());
    expect([config, draft]).toEqual([null, null]);
    expect(problems).toEqual([
      {
        file: 'nowhere.yaml',
        line: null,
        column: null,
        path: '',
        severity: 'error',
        code: 'unreadable_file',
        message: 'cannot read the file: it does not exist',
      },
    ]);
    expect(files).toEqual([resolve('nowhere.yaml')]);
  });

  it('lists every file it read or looked for', () => {
    const text = 'providers: { a: { base_url: "https://a", key: "file:k", extra_ca_file: sub/ca.pem } }';
    const files = { '/etc/sluice/sluice.yaml': text, '/etc/sluice/k': 'key' };
    const loaded = loadConfig('/etc/sluice/sluice.yaml', surroundings({}, files));
    expect(loaded.files).toEqual(['/etc/sluice/sluice.yaml', '/etc/sluice/k', '/etc/sluice/sub/ca.pem']);
  });

  it('keeps a draft for tools that need only a part', () => {
    const { config, draft } = parseConfig('data_dir: /d\nproviders: { groq: }', 'x.yaml', surroundings());
    expect(config).toBeNull();
    expect(draft?.dataDir).toBe('/d');
  });
});

describe('any text', () => {
  it('is read without an exception, and every error has a message', () => {
    const word = fc.constantFrom(
      'providers', 'models', 'keys', 'listeners', 'limits', 'openai', 'data', 'admin', 'address', 'targets', 'key',
      '__proto__', 'constructor', ': ', '\n', '  ', '- ', '[', ']', '{', '}', '&a', '*a', '"', "'", '!', 'env:X',
      'file:y', '0', '-1', '1e999', 'null', '~', ',', '?', '|', '>', '%', '\t', '#', '...', '---', '<<: ', 'é', '\u0000',
    ); // prettier-ignore
    fc.assert(
      fc.property(fc.array(word, { maxLength: 24 }), (words) => {
        const { config, problems } = parseConfig(words.join(''), 'f.yaml', surroundings());
        const errors = problems.filter(({ severity }) => severity === 'error');
        expect(config === null).toBe(errors.length > 0);
        expect(errors.every(({ message }) => message.length > 0)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('of any data is read without an exception', () => {
    const name = fc.constantFrom(
      'providers',
      'models',
      'keys',
      'listeners',
      'limits',
      'timeouts',
      'data',
      'admin',
      'a',
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom<unknown>(null, 0, -1, 1.5, true, '', 'openai', 'a/b', 'env:A', '5s'),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(name, tie('any'), { maxKeys: 4 }),
      ),
    })).any;
    fc.assert(
      fc.property(fc.dictionary(name, value), (data) => {
        const { config, problems } = parseConfig(
          JSON.stringify(data),
          'f.json',
          surroundings({ A: 'value' }),
        );
        expect(config === null).toBe(problems.some(({ severity }) => severity === 'error'));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('a credential', () => {
  const CANARY = 'sk-canary-0123456789abcdefABCDEF';
  const name = fc.constantFrom(
    'providers',
    'models',
    'keys',
    'openai',
    'key',
    'name',
    'auth',
    'targets',
    'a',
    CANARY,
  );
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<unknown>(
        CANARY,
        CANARY,
        `https://${CANARY}@host/v1`,
        `Bearer ${CANARY}`,
        'env:C',
        1,
        null,
      ),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(name, tie('any'), { maxKeys: 4 }),
    ),
  })).any;

  it('is in no message, wherever it was put', () => {
    fc.assert(
      fc.property(fc.dictionary(name, value, { minKeys: 1 }), (data) => {
        const { problems } = parseConfig(JSON.stringify(data), 'f.json', surroundings({ C: CANARY }));
        expect(JSON.stringify(problems)).not.toContain('canary');
      }),
      { numRuns: 2_000 },
    );
  });

  it('is in no message about a text that is not even YAML', () => {
    const piece = fc.constantFrom(
      CANARY,
      ': ',
      '\n',
      '"',
      "'",
      '- ',
      '{',
      '[',
      '!',
      '&',
      '*',
      '|',
      '@',
      '`',
      '\t',
      '%',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const { problems } = parseConfig(pieces.join(''), 'f.yaml', surroundings());
        expect(JSON.stringify(problems)).not.toContain('canary');
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the guide', () => {
  const guide = readFileSync(
    fileURLToPath(new URL('../../../docs/guide/configuration.md', import.meta.url)),
    'utf8',
  );
  const blocks = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block]) => block ?? '');
  const variables = {
    OPENAI_API_KEY: SECRET,
    AWS_ACCESS_KEY_ID: 'id',
    AWS_SECRET_ACCESS_KEY: SECRET,
    GROQ_KEY_EU: SECRET,
    PARTNER_KEY: SECRET,
    GROQ_API_KEY: SECRET,
    BATCH_KEY: `${SECRET}-batch`,
    OLD_WEB_KEY: `${SECRET}-web`,
  };
  const files: FileTable = {
    '/run/secrets/azure-1': 'azure-secret-1',
    '/run/secrets/azure-2': 'azure-secret-2',
    '/run/secrets/sluice-admin-token': SECRET,
    '/etc/sluice/tls/chain.pem': CERTIFICATES.certificate,
    '/etc/sluice/tls/key.pem': CERTIFICATES.key,
  };

  it('has examples', () => {
    expect(blocks.length).toBeGreaterThanOrEqual(4);
  });

  it('has no example that is wrong', () => {
    const { problems } = parseConfig(
      blocks.join(''),
      '/etc/sluice/sluice.yaml',
      surroundings(variables, files),
    );
    const syntax = problems.filter(({ code }) => code === 'bad_syntax');
    expect(syntax).toEqual([]);
    expect(read(blocks.join(''), variables, files).models.map(({ name }) => name)).toContain('smart');
  });
});
