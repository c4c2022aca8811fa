import { generateKeyPairSync } from 'node:crypto';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ProviderConfig } from '../../src/config/config.js';
import { parseConfig } from '../../src/config/load.js';
import { surroundings, type FileTable } from './surroundings.js';

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});

const ACCOUNT = JSON.stringify({
  type: 'service_account',
  project_id: 'of-the-key',
  client_email: 'a@b.example',
  private_key: privateKey,
  private_key_id: 'kid',
});

function providers(
  text: string,
  variables: Record<string, string> = {},
  files: FileTable = {},
): ProviderConfig[] {
  const { config, problems } = parseConfig(text, '/etc/sluice/sluice.yaml', surroundings(variables, files));
  expect(problems).toEqual([]);
  return [...config!.providers];
}

function provider(
  text: string,
  variables: Record<string, string> = {},
  files: FileTable = {},
): ProviderConfig {
  return providers(text, variables, files)[0]!;
}

const AWS = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret', AWS_REGION: 'eu-west-1' };

describe('Amazon', () => {
  it('is found in the environment, and signs', () => {
    const found = provider('', { ...AWS, AWS_SESSION_TOKEN: 'token' });
    expect(found).toMatchObject({
      name: 'bedrock',
      dialect: 'bedrock',
      baseUrl: 'https://bedrock-runtime.eu-west-1.amazonaws.com',
      auth: { kind: 'aws_sig_v4', region: 'eu-west-1', service: 'bedrock' },
      credential: null,
      foundIn: 'AWS_ACCESS_KEY_ID',
    });
    expect(JSON.parse(found.keys[0]!.secret)).toEqual({
      access_key_id: 'id',
      secret_access_key: 'secret',
      session_token: 'token',
    });
  });

  it('takes an API key in place of a signature', () => {
    expect(
      provider('providers: { bedrock: { key: "env:K", region: us-east-1 } }', { ...AWS, K: 'k' }),
    ).toMatchObject({
      auth: { kind: 'bearer' },
      keys: [{ secret: 'k' }],
    });
    expect(provider('', { AWS_REGION: 'us-east-1', AWS_BEARER_TOKEN_BEDROCK: 'b' })).toMatchObject({
      auth: { kind: 'bearer' },
      keys: [{ secret: 'b' }],
      foundIn: 'AWS_BEARER_TOKEN_BEDROCK',
    });
  });

  it('takes what the file says before the environment', () => {
    const text =
      'providers: { bedrock: { aws: { access_key_id: x, secret_access_key: "env:S", service: other } } }';
    const found = provider(text, { ...AWS, S: 's' });
    expect(JSON.parse(found.keys[0]!.secret)).toEqual({ access_key_id: 'x', secret_access_key: 's' });
    expect(found.auth).toMatchObject({ service: 'other' });
  });

  it('reads a profile, and watches its file', () => {
    const files = {
      '/home/me/.aws/credentials':
        '[default]\naws_access_key_id = a\n# comment\n[ work ]\r\naws_access_key_id=w\naws_secret_access_key = ws\n',
    };
    const variables = { HOME: '/home/me', AWS_REGION: 'us-east-1', AWS_PROFILE: 'work' };
    const { config, files: watched } = parseConfig(
      'providers: { bedrock: }',
      null,
      surroundings(variables, files),
    );
    expect(JSON.parse(config!.providers[0]!.keys[0]!.secret)).toEqual({
      access_key_id: 'w',
      secret_access_key: 'ws',
    });
    expect(watched).toContain('/home/me/.aws/credentials');
  });

  it('asks the container, the cluster or the machine, in this order and only where told so', () => {
    const text = 'providers: { bedrock: { region: us-east-1, allow_metadata: true } }';
    const cluster = { AWS_ROLE_ARN: 'arn', AWS_WEB_IDENTITY_TOKEN_FILE: '/token' };
    const container = { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/x' };
    expect(provider(text, { ...cluster, ...container }).credential).toEqual({
      kind: 'aws_container',
      url: 'http://169.254.170.2/v2/x',
      token: null,
      tokenFile: null,
    });
    expect(provider(text, cluster).credential).toEqual({
      kind: 'aws_web_identity',
      url: 'https://sts.us-east-1.amazonaws.com',
      roleArn: 'arn',
      tokenFile: '/token',
      sessionName: 'sluice',
    });
    expect(provider(text).credential).toEqual({ kind: 'aws_instance', url: 'http://169.254.169.254' });
  });
});

describe('Google Cloud', () => {
  const source = {
    kind: 'google_service_account',
    tokenUrl: 'https://oauth2.googleapis.com/token',
    clientEmail: 'a@b.example',
    privateKeyPem: privateKey,
    privateKeyId: 'kid',
  };

  it('takes a key, and the project it names', () => {
    const text = 'providers: { vertex: { key: "file:sa.json" } }';
    expect(provider(text, {}, { '/etc/sluice/sa.json': ACCOUNT })).toMatchObject({
      dialect: 'vertex',
      baseUrl: 'https://aiplatform.googleapis.com/v1/projects/of-the-key/locations/global',
      auth: { kind: 'bearer' },
      authText: 'google_service_account',
      keys: [{ name: '1', secret: '' }],
      credential: source,
      quirks: ['no_call_ids'],
    });
  });

  it('is found in the environment', () => {
    const variables = {
      GOOGLE_APPLICATION_CREDENTIALS: 'sa.json',
      GOOGLE_CLOUD_PROJECT: 'mine',
      GOOGLE_CLOUD_LOCATION: 'europe-west4',
    };
    expect(provider('', variables, { [resolve('sa.json')]: ACCOUNT })).toMatchObject({
      baseUrl: 'https://europe-west4-aiplatform.googleapis.com/v1/projects/mine/locations/europe-west4',
      credential: source,
      foundIn: 'GOOGLE_APPLICATION_CREDENTIALS',
    });
  });

  it('takes a login, and the machine where it may', () => {
    const login = { type: 'authorized_user', client_id: 'i', client_secret: 's', refresh_token: 'r' };
    const text = 'providers: { vertex: { project: p, key: "file:login.json" } }';
    expect(provider(text, {}, { '/etc/sluice/login.json': JSON.stringify(login) }).credential).toMatchObject({
      kind: 'google_user',
      refreshToken: 'r',
    });
    expect(provider('providers: { vertex: { project: p, allow_metadata: true } }').credential).toEqual({
      kind: 'google_instance',
      url: 'http://metadata.google.internal',
    });
  });
});

describe('Azure', () => {
  it('is OpenAI’s own API, or that by deployment where a version is named', () => {
    const variables = { AZURE_OPENAI_API_KEY: 'k', AZURE_OPENAI_ENDPOINT: 'https://res.openai.azure.com/' };
    expect(provider('', variables)).toMatchObject({
      name: 'azure',
      dialect: 'openai',
      baseUrl: 'https://res.openai.azure.com/openai/v1',
      auth: { kind: 'header', name: 'api-key' },
      apiVersion: null,
    });
    expect(provider('', { ...variables, OPENAI_API_VERSION: '2025-01-01-preview' })).toMatchObject({
      dialect: 'azure',
      baseUrl: 'https://res.openai.azure.com',
      apiVersion: '2025-01-01-preview',
    });
    expect(
      provider('providers: { azure: { account: a, dialect: azure, key: "env:K" } }', { K: 'k' }),
    ).toMatchObject({
      baseUrl: 'https://a.openai.azure.com',
      apiVersion: '2024-10-21',
    });
  });

  it('takes an application in place of a key', () => {
    const text =
      'providers: { azure: { account: a, entra: { tenant_id: t, client_id: c, client_secret: "env:S" } } }';
    expect(provider(text, { S: 's' })).toMatchObject({
      auth: { kind: 'bearer' },
      authText: 'azure_entra',
      credential: {
        kind: 'azure_entra',
        tokenUrl: 'https://login.microsoftonline.com/t/oauth2/v2.0/token',
        clientId: 'c',
        clientSecret: 's',
        scope: 'https://ai.azure.com/.default',
      },
    });
  });
});

describe('token services of known providers', () => {
  it('takes the key of GigaChat, and its scope', () => {
    const source = {
      kind: 'oauth_basic',
      tokenUrl: 'https://ngw.devices.sberbank.ru:9443/api/v2/oauth',
      credentials: 'a2V5',
      scope: 'GIGACHAT_API_PERS',
      idHeader: 'RqUID',
    };
    expect(provider('providers: { gigachat: }', { GIGACHAT_CREDENTIALS: 'a2V5' })).toMatchObject({
      baseUrl: 'https://gigachat.devices.sberbank.ru/api/v1',
      auth: { kind: 'bearer' },
      authText: 'oauth',
      keys: [{ name: '1', secret: '' }],
      credential: source,
      foundIn: 'GIGACHAT_CREDENTIALS',
    });
    const text = 'providers: { gigachat: { key: "env:K", oauth: { scope: GIGACHAT_API_CORP } } }';
    expect(provider(text, { K: 'a2V5', GIGACHAT_SCOPE: 'other' })).toMatchObject({
      credential: { ...source, scope: 'GIGACHAT_API_CORP' },
      foundIn: null,
    });
  });

  it('takes a service key of SAP from the usual variables, or from the file', () => {
    const source = {
      kind: 'oauth_client',
      tokenUrl: 'https://t.authentication.eu10.hana.ondemand.com/oauth/token',
      clientId: 'c',
      clientSecret: 's',
      scope: null,
    };
    const variables = {
      AICORE_AUTH_URL: 'https://t.authentication.eu10.hana.ondemand.com/',
      AICORE_CLIENT_ID: 'c',
      AICORE_CLIENT_SECRET: 's',
    };
    expect(provider('providers: { sap: { account: prod.eu-central-1.aws } }', variables)).toMatchObject({
      baseUrl: 'https://api.ai.prod.eu-central-1.aws.ml.hana.ondemand.com/v2',
      credential: source,
      foundIn: 'AICORE_CLIENT_SECRET',
      headers: [{ name: 'ai-resource-group', value: 'default' }],
    });
    const text = `
      providers:
        sap:
          account: prod.eu-central-1.aws
          headers: { AI-Resource-Group: mine }
          oauth: { token_url: "${source.tokenUrl}", client_id: c, client_secret: "env:S" }`;
    expect(provider(text, { S: 's' })).toMatchObject({
      credential: source,
      headers: [{ name: 'ai-resource-group', value: 'mine' }],
    });
  });
});

describe('a provider', () => {
  it('takes everything that its row says, and the file says otherwise', () => {
    const text = `
      providers:
        anthropic: { default_max_tokens: 900 }
        mistral: { quirks: [string_content] }
        gemini: { auth: "query:key", base_url: "https://proxy.example/v1beta" }
        cohere: { dialect: openai, base_url: "https://api.cohere.com/compatibility/v1" }
        mine: { base_url: "https://{region}.example", region: r1, key: "env:K", dialect: anthropic, auth: "header:X-Api-Key" }`;
    const variables = {
      K: 'k',
      ANTHROPIC_API_KEY: 'k',
      MISTRAL_API_KEY: 'k',
      GEMINI_API_KEY: 'k',
      COHERE_API_KEY: 'k',
    };
    expect(providers(text, variables)).toMatchObject([
      {
        dialect: 'anthropic',
        auth: { kind: 'header', name: 'x-api-key' },
        quirks: [],
        defaultMaxTokens: 900,
      },
      { dialect: 'openai', quirks: ['string_content'] },
      { dialect: 'gemini', auth: { kind: 'query', name: 'key' }, baseUrl: 'https://proxy.example/v1beta' },
      { dialect: 'openai', quirks: [] },
      { dialect: 'anthropic', auth: { name: 'x-api-key' }, baseUrl: 'https://r1.example' },
    ]);
  });

  it('is spoken to as OpenAI is where its address is that of such an API', () => {
    const text = `
      providers:
        gemini: { base_url: "https://generativelanguage.googleapis.com/v1beta/openai/" }
        cohere: { base_url: "https://api.cohere.com/compatibility/v1" }
        ollama: { base_url: "http://10.0.0.9:11434/v1" }`;
    expect(providers(text, { GEMINI_API_KEY: 'k', COHERE_API_KEY: 'k' })).toMatchObject([
      { dialect: 'openai', auth: { kind: 'bearer' } },
      { dialect: 'openai', auth: { kind: 'bearer' } },
      { dialect: 'openai', auth: { kind: 'none' } },
    ]);
    expect(providers('providers: { ollama: { base_url: "http://10.0.0.9:11434" } }')[0]?.dialect).toBe(
      'ollama',
    );
  });

  it('may be named as other gateways name it', () => {
    const found = provider('providers: { together_ai: }', { TOGETHERAI_API_KEY: 'k' });
    expect(found).toMatchObject({ name: 'together_ai', baseUrl: 'https://api.together.xyz/v1' });
  });
});

describe('a provider of one’s own', () => {
  it.each([
    ['anthropic', 'header', 'x-api-key'],
    ['gemini', 'header', 'x-goog-api-key'],
    ['azure', 'header', 'api-key'],
    ['cohere', 'bearer', undefined],
    ['openai', 'bearer', undefined],
  ])('of the dialect %s is sent its key as the dialect has it', (dialect, kind, name) => {
    const own = provider(
      `providers: {mine: {dialect: ${dialect}, base_url: "https://h.example", key: "env:K"}}`,
      {
        K: 'secret-of-mine',
      },
    );
    expect(own.auth).toEqual(name === undefined ? { kind } : { kind, name });
  });

  it('that is an Ollama needs no key', () => {
    const own = provider('providers: {mine: {dialect: ollama, base_url: "http://h.example:11434"}}');
    expect(own.auth).toEqual({ kind: 'none' });
  });
});
