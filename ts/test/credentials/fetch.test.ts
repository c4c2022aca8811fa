import { createVerify, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetchCredential } from '../../src/credentials/index.js';
import type { AwsContainerSource, CredentialSource } from '../../src/governance/credential-source.js';
import { TokenServer } from './server.js';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const CANARY = 'canary-0123456789';
const ONGOING = new AbortController().signal;

const AWS = {
  AccessKeyId: 'id',
  SecretAccessKey: 'secret',
  Token: 'token',
  Expiration: '2026-06-01T06:00:00Z',
};
const AWS_SECRET = { access_key_id: 'id', secret_access_key: 'secret', session_token: 'token' };

const server = new TokenServer();
beforeEach(async () => {
  server.asked.length = 0;
  await server.start();
});
afterEach(() => server.stop());

async function fetched(source: CredentialSource) {
  return fetchCredential(source, NOW, ONGOING);
}

async function failure(source: CredentialSource): Promise<string> {
  const error = await fetched(source).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  const { message } = error as Error;
  expect(message).not.toContain(CANARY);
  return message.replaceAll(/127\.0\.0\.1:\d+/g, 'HOST');
}

function entra(): CredentialSource {
  const tokenUrl = `${server.url}/tenant/oauth2/v2.0/token`;
  return { kind: 'azure_entra', tokenUrl, clientId: 'c', clientSecret: CANARY, scope: 'https://x/.default' };
}

function container(change: Partial<AwsContainerSource> = {}): AwsContainerSource {
  return { kind: 'aws_container', url: `${server.url}/v2/creds`, token: null, tokenFile: null, ...change };
}

function tokenFile(text: string): string {
  const file = join(mkdtempSync(join(tmpdir(), 'sluice-token-')), 'token');
  writeFileSync(file, text);
  return file;
}

describe('Entra', () => {
  it('gives a token for the application', async () => {
    server.answer = () => ({ body: { token_type: 'Bearer', expires_in: 3599, access_token: 'tok' } });
    expect(await fetched(entra())).toEqual({ secret: 'tok', expiresAt: NOW + 3_599_000 });
    expect(server.asked).toMatchObject([
      {
        method: 'POST',
        path: '/tenant/oauth2/v2.0/token',
        form: {
          grant_type: 'client_credentials',
          client_id: 'c',
          client_secret: CANARY,
          scope: 'https://x/.default',
        },
      },
    ]);
  });
});

describe('another token service', () => {
  it('gives a token for the client, asked for a scope only where there is one', async () => {
    server.answer = () => ({ body: { expires_in: 60, access_token: 'tok' } });
    const source = {
      kind: 'oauth_client',
      tokenUrl: `${server.url}/oauth/token`,
      clientId: 'c',
      clientSecret: CANARY,
    } as const;
    expect(await fetched({ ...source, scope: null })).toEqual({ secret: 'tok', expiresAt: NOW + 60_000 });
    await fetched({ ...source, scope: 'models' });
    const form = { grant_type: 'client_credentials', client_id: 'c', client_secret: CANARY };
    expect(server.asked.map((asked) => asked.form)).toEqual([form, { ...form, scope: 'models' }]);
    server.answer = () => ({ status: 401, body: { error: 'invalid_client' } });
    expect(await failure({ ...source, scope: null })).toBe('HOST answered 401 (invalid_client)');
  });
});

describe('a token service that takes a key', () => {
  it('is sent the key as it is, the scope and an id of the request, and says when the token ends', async () => {
    server.answer = () => ({ body: { access_token: 'tok', expires_at: NOW + 1_800_000 } });
    const source = {
      kind: 'oauth_basic',
      tokenUrl: `${server.url}/api/v2/oauth`,
      credentials: CANARY,
      scope: 'GIGACHAT_API_PERS',
      idHeader: 'RqUID',
    } as const;
    expect(await fetched(source)).toEqual({ secret: 'tok', expiresAt: NOW + 1_800_000 });
    await fetched({ ...source, scope: null });
    expect(server.asked.map(({ form }) => form)).toEqual([{ scope: 'GIGACHAT_API_PERS' }, {}]);
    const ids = server.asked.map(({ headers }) => headers['rquid']);
    expect(new Set(ids).size).toBe(2);
    expect(ids[0]).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    expect(server.asked[0]?.headers).toMatchObject({ authorization: `Basic ${CANARY}` });
    server.answer = () => ({ status: 401, body: { code: 4, message: 'Authorization error' } });
    expect(await failure(source)).toBe('HOST answered 401');
  });
});

describe('Google', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });

  it('takes an assertion that the account’s key has signed', async () => {
    server.answer = () => ({ body: { access_token: 'ya29.x', expires_in: 3600 } });
    const tokenUrl = `${server.url}/token`;
    const source: CredentialSource = {
      kind: 'google_service_account',
      tokenUrl,
      clientEmail: 'me@example',
      privateKeyPem: privateKey,
      privateKeyId: 'kid',
    };
    expect(await fetched(source)).toEqual({ secret: 'ya29.x', expiresAt: NOW + 3_600_000 });
    const { grant_type: grant, assertion = '' } = server.asked[0]!.form;
    expect(grant).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
    const [header = '', claims = '', signature = ''] = assertion.split('.');
    const decoded = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    expect(decoded(header)).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'kid' });
    expect(decoded(claims)).toEqual({
      iss: 'me@example',
      scope: 'https://www.googleapis.com/auth/cloud-platform',
      aud: tokenUrl,
      iat: NOW / 1000,
      exp: NOW / 1000 + 3600,
    });
    const verified = createVerify('RSA-SHA256').update(`${header}.${claims}`);
    expect(verified.verify(publicKey, signature, 'base64url')).toBe(true);
  });

  it('takes a refresh token, and answers for the machine', async () => {
    server.answer = () => ({ body: { access_token: 'ya29.y', expires_in: 60 } });
    const tokenUrl = `${server.url}/token`;
    await fetched({ kind: 'google_user', tokenUrl, clientId: 'i', clientSecret: 's', refreshToken: 'r' });
    await fetched({ kind: 'google_instance', url: server.url });
    expect(server.asked[0]?.form).toEqual({
      grant_type: 'refresh_token',
      client_id: 'i',
      client_secret: 's',
      refresh_token: 'r',
    });
    expect(server.asked[1]).toMatchObject({
      method: 'GET',
      path: '/computeMetadata/v1/instance/service-accounts/default/token',
      headers: { 'metadata-flavor': 'Google' },
    });
  });
});

describe('Amazon', () => {
  it('answers for a container', async () => {
    server.answer = () => ({ body: AWS });
    const found = await fetched(container({ tokenFile: tokenFile('from-file\n'), token: 'not-this' }));
    expect(JSON.parse(found.secret)).toEqual(AWS_SECRET);
    expect(found.expiresAt).toBe(Date.parse(AWS.Expiration));
    expect(server.asked[0]).toMatchObject({ path: '/v2/creds', headers: { authorization: 'from-file' } });
  });

  it('answers for a machine, by version 2 of its metadata', async () => {
    server.answer = ({ method, path }) => {
      if (method === 'PUT') return { body: 'session' };
      return { body: path.endsWith('/') ? 'my role\n' : AWS };
    };
    expect(JSON.parse((await fetched({ kind: 'aws_instance', url: server.url })).secret)).toEqual(AWS_SECRET);
    expect(server.asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'PUT /latest/api/token',
      'GET /latest/meta-data/iam/security-credentials/',
      'GET /latest/meta-data/iam/security-credentials/my%20role',
    ]);
    expect(server.asked[2]?.headers['x-aws-ec2-metadata-token']).toBe('session');
  });

  it('lends a role to whom the cluster vouches for', async () => {
    server.answer = () => ({
      body: `<R><Credentials><AccessKeyId>id</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
        <SessionToken>token</SessionToken><Expiration>${AWS.Expiration}</Expiration></Credentials></R>`,
    });
    const found = await fetched({
      kind: 'aws_web_identity',
      url: server.url,
      roleArn: 'arn:x',
      tokenFile: tokenFile('jwt\n'),
      sessionName: 'n',
    });
    expect(JSON.parse(found.secret)).toEqual(AWS_SECRET);
    expect(found.expiresAt).toBe(Date.parse(AWS.Expiration));
    expect(server.asked[0]?.form).toMatchObject({
      RoleArn: 'arn:x',
      RoleSessionName: 'n',
      WebIdentityToken: 'jwt',
    });
  });

  it('is not asked for a container’s credentials anywhere else', async () => {
    for (const url of ['http://10.0.0.1/creds', 'http://127.evil.example/', 'ftp://127.0.0.1/', 'nothing']) {
      expect(await failure(container({ url }))).toMatch(
        /^the address of the container’s credentials is neither/,
      );
    }
    expect(server.asked).toEqual([]);
  });
});

describe('what goes wrong is said without a secret', () => {
  it.each([
    [
      { status: 401, body: { error: 'invalid_client', error_description: CANARY } },
      'HOST answered 401 (invalid_client)',
    ],
    [{ status: 500, body: `<p>${CANARY}</p>` }, 'HOST answered 500'],
    [{ status: 400, body: { error: `${CANARY} and more` } }, 'HOST answered 400'],
    [{ body: `<p>${CANARY}</p>` }, 'HOST answered something else than JSON'],
    [{ body: { expires_in: 5 } }, 'HOST answered without access_token'],
    [{ body: { access_token: 'two\nlines' } }, 'HOST answered no usable token'],
    [{ body: 'x'.repeat(100_000) }, 'HOST answered too much'],
    [
      { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: '' },
      'HOST could not be reached: TypeError',
    ],
  ])('%#', async (answer, message) => {
    server.answer = () => answer;
    expect(await failure(entra())).toMatch(message.replace('TypeError', ''));
    expect(server.asked).toHaveLength(1);
  });

  it('when nobody listens, and when a file is not there', async () => {
    const source = entra();
    server.stop();
    expect(await failure(source)).toBe('HOST could not be reached: ECONNREFUSED');
    await server.start();
    expect(await failure(container({ tokenFile: '/nowhere/token' }))).toBe(
      'the file with the token could not be read: ENOENT',
    );
  });
});
