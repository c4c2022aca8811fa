/**
 * Amazon's credentials: of a container, of a machine (IMDS version 2), and of a role that a cluster vouches for.
 *
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
 */

import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type {
  AwsContainerSource,
  AwsInstanceSource,
  AwsWebIdentitySource,
} from '../governance/credential-source.js';
import { CredentialError, exchange, exchangeJson, textMember, type Credential } from './exchange.js';

/** How long the token of the metadata service is wanted for, in seconds: one round of requests. */
const METADATA_TOKEN_SECONDS = '60';
const METADATA = '/latest/meta-data/iam/security-credentials/';

/** Addresses a container's credentials may come from without TLS, as Amazon's own tools have them. */
const CONTAINER_HOSTS = ['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]', 'localhost'];

/** Asks the endpoint of the container. */
export async function containerCredential(
  source: AwsContainerSource,
  signal: AbortSignal,
): Promise<Credential> {
  const { url } = source;
  if (!mayServeContainers(url)) {
    throw new CredentialError(
      'the address of the container’s credentials is neither https:// nor its host’s own',
    );
  }
  const token = source.tokenFile === null ? source.token : await readToken(source.tokenFile);
  const headers = token === null ? {} : { authorization: token };
  return fromJson(await exchangeJson({ url, method: 'GET', headers }, signal), url);
}

/** Asks the metadata service of the machine. */
export async function instanceCredential(
  source: AwsInstanceSource,
  signal: AbortSignal,
): Promise<Credential> {
  const base = source.url;
  const token = await exchange(
    {
      url: `${base}/latest/api/token`,
      method: 'PUT',
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': METADATA_TOKEN_SECONDS },
    },
    signal,
  );
  const headers = { 'x-aws-ec2-metadata-token': token.trim() };
  const roles = await exchange({ url: base + METADATA, method: 'GET', headers }, signal);
  const role = roles.split('\n')[0]?.trim() ?? '';
  if (role === '') throw new CredentialError('the machine has no role');
  const url = base + METADATA + encodeURIComponent(role);
  return fromJson(await exchangeJson({ url, method: 'GET', headers }, signal), url);
}

/** Assumes a role with the cluster's token. */
export async function webIdentityCredential(
  source: AwsWebIdentitySource,
  signal: AbortSignal,
): Promise<Credential> {
  const form = {
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    RoleArn: source.roleArn,
    RoleSessionName: source.sessionName,
    WebIdentityToken: await readToken(source.tokenFile),
  };
  const xml = await exchange({ url: source.url, method: 'POST', form }, signal);
  const members: Record<string, unknown> = {};
  for (const name of ['AccessKeyId', 'SecretAccessKey', 'SessionToken', 'Expiration']) {
    members[name] = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  }
  return fromMembers(members, 'SessionToken', source.url);
}

function fromJson(data: Readonly<Record<string, unknown>>, url: string): Credential {
  return fromMembers(data, 'Token', url);
}

function fromMembers(data: Readonly<Record<string, unknown>>, token: string, url: string): Credential {
  const secret = JSON.stringify({
    access_key_id: textMember(data, 'AccessKeyId', url),
    secret_access_key: textMember(data, 'SecretAccessKey', url),
    session_token: textMember(data, token, url),
  });
  const expiresAt = Date.parse(String(data['Expiration']));
  return { secret, expiresAt: Number.isNaN(expiresAt) ? null : expiresAt };
}

function mayServeContainers(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  const loopback = (isIP(hostname) === 4 && hostname.startsWith('127.')) || hostname === '[::1]';
  return protocol === 'https:' || (protocol === 'http:' && (loopback || CONTAINER_HOSTS.includes(hostname)));
}

async function readToken(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new CredentialError(`the file with the token could not be read: ${code}`);
  }
}
