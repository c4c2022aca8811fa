/** Reads the JSON of a Google credential: a service account's key, or a person's login. */

import { createPrivateKey } from 'node:crypto';
import type { CredentialSource } from '../governance/credential-source.js';

/** Where tokens are given out unless the key says otherwise. */
const TOKEN_URL = 'https://oauth2.googleapis.com/token';
/** The metadata service of a Google machine. */
export const GOOGLE_METADATA_URL = 'http://metadata.google.internal';

/** What a text comes to. */
export interface GoogleKey {
  /** Null where the text is none. */
  readonly source: CredentialSource | null;
  readonly project: string | null;
  /** What is wrong, in words after "found"; never quotes the text. */
  readonly problem: string;
}

/** Reads the text of a key file. */
export function googleSource(text: string): GoogleKey {
  const data = parse(text);
  if (data === null) return refused('something that is not JSON');
  const project = data['project_id'] ?? data['quota_project_id'] ?? null;
  const tokenUrl = data['token_uri'] ?? TOKEN_URL;
  if (!/^https:\/\/|^http:\/\/127\.0\.0\.1[:/]/.test(tokenUrl))
    return refused('a token_uri that is not an https:// URL');
  if (data['type'] === 'service_account') return serviceAccount(data, tokenUrl, project);
  if (data['type'] === 'authorized_user') return user(data, tokenUrl, project);
  return refused('a credential of a type that is not served');
}

function serviceAccount(data: Texts, tokenUrl: string, project: string | null): GoogleKey {
  const clientEmail = data['client_email'];
  const privateKeyPem = data['private_key'];
  if (clientEmail === undefined || privateKeyPem === undefined)
    return refused('a service account without client_email or private_key');
  if (!isPrivateKey(privateKeyPem)) return refused('a service account whose private_key is no key');
  const privateKeyId = data['private_key_id'] ?? null;
  return {
    source: { kind: 'google_service_account', tokenUrl, clientEmail, privateKeyPem, privateKeyId },
    project,
    problem: '',
  };
}

function user(data: Texts, tokenUrl: string, project: string | null): GoogleKey {
  const { client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken } = data;
  if (clientId === undefined || clientSecret === undefined || refreshToken === undefined)
    return refused('a login without client_id, client_secret or refresh_token');
  return {
    source: { kind: 'google_user', tokenUrl, clientId, clientSecret, refreshToken },
    project,
    problem: '',
  };
}

type Texts = Readonly<Record<string, string | undefined>>;

/** The members that are texts; null where the text is no JSON object. */
function parse(text: string): Texts | null {
  try {
    const data = JSON.parse(text) as unknown;
    if (typeof data !== 'object' || data === null || Array.isArray(data)) return null;
    return Object.fromEntries(Object.entries(data).filter(([, value]) => typeof value === 'string'));
  } catch {
    return null;
  }
}

function isPrivateKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyType === 'rsa';
  } catch {
    return false;
  }
}

function refused(problem: string): GoogleKey {
  return { source: null, project: null, problem };
}
