import { describe, expect, it } from 'vitest';
import { importRows } from '../../../scripts/import-providers.mjs';
import { parseConfig } from '../../src/config/load.js';
import { isNamePattern } from '../../src/governance/name-pattern.js';
import {
  CATALOGUE,
  catalogueRow,
  findProviders,
  keyVariable,
  keyVariables,
} from '../../src/providers/catalogue.js';
import { CERTAIN } from '../../src/providers/data/certain.js';
import { LEFT_OUT } from '../../src/providers/data/left-out.js';
import { surroundings } from '../config/surroundings.js';

/** All that an address may want besides a key. */
const PARTS = { AWS_REGION: 'us-east-1', GOOGLE_CLOUD_PROJECT: 'proj' };

describe('the catalogue', () => {
  it('has every name, address, variable and family once', () => {
    for (const values of [
      CATALOGUE.flatMap(({ name, aliases }) => [name, ...aliases]),
      CATALOGUE.map(({ baseUrl }) => baseUrl),
      CATALOGUE.filter(({ discovered }) => discovered).flatMap(({ env }) => env),
      CATALOGUE.flatMap(({ families }) => families),
    ]) {
      expect(new Set(values).size).toBe(values.length);
    }
  });

  it('has no name that is also left out', () => {
    expect(Object.keys(LEFT_OUT).filter((name) => catalogueRow(name) !== undefined)).toEqual([]);
  });

  const keyed = CATALOGUE.filter(({ auth }) => /^(bearer|none|header:|query:)/.test(auth));

  it.each(keyed)('$name can be configured with nothing but its name and a key', (row) => {
    const variables = { ...PARTS, [keyVariables(row)[0] ?? '']: 'key' };
    const account = row.baseUrl.includes('{account}') ? '{ account: mine }' : '';
    const text = `providers: { ${row.name}: ${account} }`;
    const { config, problems } = parseConfig(text, 'f.yaml', surroundings(variables));
    expect(problems).toEqual([]);
    expect(config?.providers[0]).toMatchObject({
      name: row.name,
      dialect: row.dialect,
      keys: row.auth === 'none' ? [] : [{ secret: 'key' }],
    });
    expect(config?.providers[0]?.baseUrl).toMatch(/^https?:\/\/[a-z0-9.:-]+(\/[A-Za-z0-9/._-]+)?$/);
  });

  it.each(CATALOGUE)('$name is reached over TLS wherever a key is sent', ({ baseUrl, auth, families }) => {
    const local = baseUrl.startsWith('http://127.0.0.1:');
    if (auth !== 'none' && !local)
      expect(baseUrl).toMatch(/^https:\/\/[a-z0-9.{}-]+(\/[A-Za-z0-9/._{}-]+)?$/);
    else expect(local || baseUrl.startsWith('https://')).toBe(true);
    expect(baseUrl.endsWith('/')).toBe(false);
    expect(families.every(isNamePattern)).toBe(true);
  });
});

describe('paths', () => {
  const moved = CATALOGUE.filter(({ paths }) => Object.keys(paths).length > 0);

  it.each(moved)('$name has them for calls of its dialect, in a form that the file could have', (row) => {
    const text = JSON.stringify({
      providers: {
        own: {
          base_url: 'https://h.example',
          key: 'k',
          dialect: row.dialect,
          paths: row.paths,
          ...(row.modelInBody && { model_in_body: row.modelInBody }),
        },
      },
    });
    const { config, problems } = parseConfig(text, 'f.yaml', surroundings({}));
    expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(config?.providers[0]?.paths).toEqual(row.paths);
  });

  it('come with the name of a known provider, unless the file has its own or another dialect', () => {
    const read = (more: string) =>
      parseConfig(`providers: { ragflow: { key: k, ${more} } }`, 'f.yaml', surroundings({})).config
        ?.providers[0];
    const known = { chat: '/openai/{model}/chat/completions' };
    expect(read('')).toMatchObject({ paths: known, modelInBody: 'model' });
    expect(read('base_url: "http://10.0.0.1:9380/api/v1"')).toMatchObject({ paths: known });
    expect(read('paths: { chat: /x }')).toMatchObject({ paths: { chat: '/x' }, modelInBody: null });
    expect(read('dialect: anthropic')).toMatchObject({ paths: {}, modelInBody: null });
  });

  it('give Claude on Vertex AI the paths, the body and the token of Google', () => {
    const row = catalogueRow('vertex_ai-anthropic_models');
    expect(row).toMatchObject({
      name: 'vertex-anthropic',
      dialect: 'anthropic',
      auth: 'google_service_account',
      quirks: ['vertex_body'],
    });
    expect(row!.baseUrl + row!.paths.chat_stream!).toBe(
      'https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}' +
        '/publishers/anthropic/models/{model}:streamRawPredict',
    );
  });
});

describe('findProviders', () => {
  const names = (variables: Record<string, string>): string[] =>
    findProviders(variables).map(({ name }) => name);

  it('takes the first variable that holds something', () => {
    const row = catalogueRow('together_ai')!;
    expect(row.env).toEqual(['TOGETHER_API_KEY', 'TOGETHERAI_API_KEY']);
    expect(keyVariable(row, { TOGETHER_API_KEY: '  ', TOGETHERAI_API_KEY: 'k' })).toBe('TOGETHERAI_API_KEY');
    expect(keyVariable(row, { TOGETHER_API_KEY: 'a', TOGETHERAI_API_KEY: 'k' })).toBe('TOGETHER_API_KEY');
    expect(keyVariable(row, {})).toBeUndefined();
  });

  it('finds nothing in an empty environment, and never a server that needs no key', () => {
    expect(names({})).toEqual([]);
    expect(names({ OLLAMA_API_KEY: 'x', undefined: 'x' })).toEqual([]);
  });

  it('takes a variable that is only made from the name where the provider is named, and not by itself', () => {
    expect(names({ SILICONFLOW_API_KEY: 'x', HEROKU_API_KEY: 'x' })).toEqual([]);
    expect(keyVariable(catalogueRow('siliconflow')!, { SILICONFLOW_API_KEY: 'x' })).toBe(
      'SILICONFLOW_API_KEY',
    );
  });

  it('finds the native providers', () => {
    const keys = { ANTHROPIC_API_KEY: 'a', GOOGLE_API_KEY: 'g', COHERE_API_KEY: 'c' };
    expect(names(keys)).toEqual(['anthropic', 'gemini', 'cohere']);
  });

  it('finds clouds only where all that they need is there', () => {
    const aws = { AWS_ACCESS_KEY_ID: 'i', AWS_SECRET_ACCESS_KEY: 's' };
    expect(names(aws)).toEqual([]);
    expect(names({ ...aws, AWS_REGION: 'us-east-1' })).toEqual(['bedrock']);
    expect(names({ AWS_BEARER_TOKEN_BEDROCK: 'b', AWS_DEFAULT_REGION: 'us-east-1' })).toEqual(['bedrock']);
    expect(names({ GOOGLE_APPLICATION_CREDENTIALS: 'k.json' })).toEqual([]);
    expect(names({ GOOGLE_APPLICATION_CREDENTIALS: 'k.json', GOOGLE_CLOUD_PROJECT: 'p' })).toEqual([
      'vertex',
    ]);
    expect(names({ AZURE_OPENAI_API_KEY: 'k' })).toEqual([]);
    expect(names({ AZURE_OPENAI_API_KEY: 'k', AZURE_OPENAI_ENDPOINT: 'https://r.example' })).toEqual([
      'azure',
    ]);
  });
});

describe('the import', () => {
  const fact = { name: 'Some', auth: 'bearer', wire: 'openai', endpoints: ['chat'], kind: 'cloud' };
  const run = importRows as (facts: unknown, certain: unknown) => { rows: object[]; leftOut: object };

  it('names an account as such, and leaves out what is there by hand', () => {
    const facts = [
      { ...fact, id: 'groq', base_url: 'https://other.example' },
      { ...fact, id: 'some.ai', env: 'SOME_KEY', base_url: 'https://{resource}.example/v1/' },
    ];
    expect(run(facts, CERTAIN)).toMatchObject({
      rows: [{ name: 'some-ai', baseUrl: 'https://{account}.example/v1', env: ['SOME_KEY'], auth: 'bearer' }],
      leftOut: {},
    });
  });

  it('says why a row cannot be served', () => {
    const facts = [
      { ...fact, id: 'a', retired: true },
      { ...fact, id: 'b', wire: 'custom', base_url: 'https://b.example' },
      { ...fact, id: 'c', auth: 'custom:dance', base_url: 'https://c.example' },
      { ...fact, id: 'd', base_url: '{user_base}' },
      { ...fact, id: 'e', endpoints: ['search'], kind: 'search' },
    ];
    expect(run(facts, CERTAIN)).toEqual({
      rows: [],
      leftOut: {
        a: 'is retired',
        b: 'speaks a format of its own',
        c: 'wants its key in a way of its own (custom:dance)',
        d: 'has no address of its own; configure it under a name of yours with base_url',
        e: 'serves no chat (search)',
      },
    });
  });
});
