/**
 * Google Cloud's access tokens: for a service account by a signed assertion, for a login by its refresh token, and from
 * the metadata service of a machine.
 *
 * https://developers.google.com/identity/protocols/oauth2/service-account#httprest
 */

import { createSign } from 'node:crypto';
import type {
  GoogleInstanceSource,
  GoogleServiceAccountSource,
  GoogleUserSource,
} from '../governance/credential-source.js';
import { exchangeJson, tokenFrom, type Credential } from './exchange.js';

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
/** Longest life of an assertion that Google accepts, in seconds. */
const ASSERTION_SECONDS = 3_600;
const METADATA = '/computeMetadata/v1/instance/service-accounts/default/token';

/** A token for a service account. */
export async function serviceAccountCredential(
  source: GoogleServiceAccountSource,
  now: number,
  signal: AbortSignal,
): Promise<Credential> {
  const { tokenUrl: url } = source;
  const form = { grant_type: GRANT, assertion: assertion(source, now) };
  return tokenFrom(await exchangeJson({ url, method: 'POST', form }, signal), url, now);
}

/** A token for a person's login. */
export async function userCredential(
  source: GoogleUserSource,
  now: number,
  signal: AbortSignal,
): Promise<Credential> {
  const { tokenUrl: url, clientId, clientSecret, refreshToken } = source;
  const form = {
    grant_type: 'refresh_token',
    client_id: clientId,
    client_secret: clientSecret,
    refresh_token: refreshToken,
  };
  return tokenFrom(await exchangeJson({ url, method: 'POST', form }, signal), url, now);
}

/** The token of the machine's own account. */
export async function machineCredential(
  source: GoogleInstanceSource,
  now: number,
  signal: AbortSignal,
): Promise<Credential> {
  const url = source.url + METADATA;
  const headers = { 'metadata-flavor': 'Google' };
  return tokenFrom(await exchangeJson({ url, method: 'GET', headers }, signal), url, now);
}

/** A JSON web token that says who asks for what, signed with the account's key. */
function assertion(source: GoogleServiceAccountSource, now: number): string {
  const { clientEmail, privateKeyId, privateKeyPem, tokenUrl } = source;
  const issuedAt = Math.floor(now / 1_000);
  const header = { alg: 'RS256', typ: 'JWT', ...(privateKeyId !== null && { kid: privateKeyId }) };
  const claims = {
    iss: clientEmail,
    scope: SCOPE,
    aud: tokenUrl,
    iat: issuedAt,
    exp: issuedAt + ASSERTION_SECONDS,
  };
  const signed = `${encoded(header)}.${encoded(claims)}`;
  return `${signed}.${createSign('RSA-SHA256').update(signed).sign(privateKeyPem, 'base64url')}`;
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
