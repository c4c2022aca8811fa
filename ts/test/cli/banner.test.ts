import { describe, expect, it } from 'vitest';
import { banner, exampleModel, type BannerInput } from '../../src/cli/banner.js';
import { conciseLine } from '../../src/cli/log-lines.js';
import { table } from '../../src/cli/table.js';
import { invocation, programVersion, shellQuoted } from '../../src/cli/version.js';
import { parseConfig } from '../../src/config/load.js';
import { CERTIFICATES } from '../config/certificates.js';
import { surroundings } from '../config/surroundings.js';

function config(text: string, variables: Record<string, string> = {}) {
  const files = { '/c/c': CERTIFICATES.certificate, '/c/k': CERTIFICATES.key };
  return parseConfig(text, '/c/sluice.yaml', surroundings(variables, files)).config!;
}

function bannerOf(change: Partial<BannerInput>): string {
  return banner({
    version: '1.2.3',
    config: config('data_dir: /d'),
    configFile: null,
    dataAddresses: ['127.0.0.1:8080'],
    adminUrl: 'http://127.0.0.1:8081',
    generatedAdminToken: null,
    firstKeySecret: null,
    program: 'npx sluice',
    options: '',
    ...change,
  });
}

describe('banner', () => {
  it('shows at the first start what was made, and a request that works as pasted', () => {
    expect(bannerOf({ generatedAdminToken: 'sluice-admin-x', firstKeySecret: 'sk-slc-x' }))
      .toBe(`Sluice 1.2.3 is serving

  API        http://127.0.0.1:8080/v1
  Admin      http://127.0.0.1:8081/admin/v1  (openapi.json there; metrics at http://127.0.0.1:8081/metrics)
  Config     built-in defaults; a sluice.yaml in this directory is read at the next start
  Data       /d
  Providers  demo        built in, answers anything with made-up text
  Models     demo/* -> demo/*
             *, demo -> demo

  Token      sluice-admin-x  (admin API; shown this once, only its digest is kept)
  Key        sk-slc-x  (virtual key "default"; shown this once)

Try it:
  curl http://127.0.0.1:8080/v1/chat/completions \\
    -H 'Authorization: Bearer sk-slc-x' \\
    -H 'Content-Type: application/json' \\
    -d '{"model":"demo","messages":[{"role":"user","content":"Say hello"}]}'

Next:
  set OPENAI_API_KEY, ANTHROPIC_API_KEY, GROQ_API_KEY, MISTRAL_API_KEY or another provider's key, and start again
  npx sluice keys create --name NAME  # a key per application, with models and limits of its own
  npx sluice check  # before a change of the configuration
  Ctrl-C stops when running requests have finished; twice, at once`);
  });

  it('makes a key on the way at a later start', () => {
    const text = bannerOf({ configFile: 'prod.yaml', options: ' --config prod.yaml' });
    expect(text).toContain('Token      shown at the first start; set SLUICE_ADMIN_TOKEN');
    expect(text).toContain(
      'Key        shown when it was made; another: npx sluice keys create --name NAME --config prod.yaml',
    );
    expect(text).toContain(
      '  KEY=$(npx sluice keys create --secret-only --name "try-$(date +%s)" --config prod.yaml)\n  curl',
    );
    expect(text).toContain('-H "Authorization: Bearer $KEY"');
  });

  it('needs no key where none is required, and prefers a listener without TLS', () => {
    const text = `
      data_dir: /d
      settings: { require_key: false }
      listeners: { data: [{ address: ":1", tls: { certificate_file: c, private_key_file: k } }, { address: ":2" }] }`;
    const shown = bannerOf({ config: config(text), dataAddresses: ['0.0.0.0:1', '[::]:2'] });
    expect(shown).toContain('  API        https://127.0.0.1:1/v1\n             http://[::1]:2/v1\n');
    expect(shown).toContain("  curl http://[::1]:2/v1/chat/completions \\\n    -H 'Content-Type");
    expect(shown).toContain('Key        none needed');
  });

  it('never shows a provider key', () => {
    expect(bannerOf({ config: config('', { OPENAI_API_KEY: 'sk-canary' }) })).not.toContain('canary');
  });
});

describe('exampleModel', () => {
  it.each([
    ['the demo provider', '', {}, 'demo'],
    ['one known provider', '', { OPENAI_API_KEY: 'x' }, 'gpt-4o-mini'],
    ['several', '', { GROQ_API_KEY: 'x', XAI_API_KEY: 'x' }, 'groq/llama-3.1-8b-instant'],
    ['configured names', 'models: { "a*": demo, fast: demo }', {}, 'fast'],
    ['a server of unknown models', 'providers: { vllm: }', {}, 'MODEL'],
  ])('for %s', (_title, text, variables, model) => {
    expect(exampleModel(config(text, variables))).toBe(model);
  });
});

describe('conciseLine', () => {
  it.each([
    [
      '{"level":"warn","time":"2026-01-02T03:04:05.678Z","msg":"slow","line":3,"path":"","file":null}\n',
      '03:04:05 warn  slow line=3',
    ],
    ['{"level":"error","msg":"failed","err":{"message":"disk full","stack":"x"}}', 'error failed: disk full'],
    ['{"level":"info","msg":"a","list":[1,"b"]}', 'info  a list=[1,"b"]'],
    ['not JSON\n', 'not JSON'],
  ])('%j', (json, text) => {
    expect(conciseLine(json)).toBe(text);
  });
});

describe('invocation', () => {
  it.each([
    [undefined, 'sluice'],
    ['/usr/local/bin/sluice', 'sluice'],
    ['/app/node_modules/.bin/sluice', 'npx sluice'],
    ['/app/dist/cli/main.js', 'node dist/cli/main.js'],
    ["/app/it's/main.js", String.raw`node 'it'\''s/main.js'`],
  ])('of %s is %s', (script, text) => {
    expect(invocation(script, '/app')).toBe(text);
  });

  it('knows its version', () => {
    expect(programVersion()).toMatch(/^\d+\.\d+\.\d+/);
    expect(programVersion()).not.toBe('0.0.0');
  });

  it('quotes what a shell would change', () => {
    expect(['plain-1.yaml', 'two words', '$HOME'].map(shellQuoted)).toEqual([
      'plain-1.yaml',
      "'two words'",
      "'$HOME'",
    ]);
  });
});

describe('table', () => {
  it('aligns columns and leaves no space at the ends of lines', () => {
    expect(
      table(
        ['A', 'LONG'],
        [
          ['wide cell', ''],
          ['x', 'y'],
        ],
      ),
    ).toBe('A          LONG\nwide cell\nx          y');
  });
});
