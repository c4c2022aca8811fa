/** Fetches a credential from wherever its source says. */

import { randomUUID } from 'node:crypto';
import type {
  AzureEntraSource,
  CredentialSource,
  OauthBasicSource,
  OauthClientSource,
} from '../governance/credential-source.js';
import { containerCredential, instanceCredential, webIdentityCredential } from './aws.js';
import { exchangeJson, tokenFrom, type Credential } from './exchange.js';
import { machineCredential, serviceAccountCredential, userCredential } from './google.js';

/** Longest wait for a credential, in milliseconds, all its requests together. */
const TIMEOUT_MS = 10_000;

/** Rejects with a {@link CredentialError}, or as `stop` says. */
export function fetchCredential(
  source: CredentialSource,
  now: number,
  stop: AbortSignal,
): Promise<Credential> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(TIMEOUT_MS)]);
  switch (source.kind) {
    case 'aws_container':
      return containerCredential(source, signal);
    case 'aws_instance':
      return instanceCredential(source, signal);
    case 'aws_web_identity':
      return webIdentityCredential(source, signal);
    case 'google_service_account':
      return serviceAccountCredential(source, now, signal);
    case 'google_user':
      return userCredential(source, now, signal);
    case 'google_instance':
      return machineCredential(source, now, signal);
    case 'azure_entra':
    case 'oauth_client':
      return clientCredential(source, now, signal);
    case 'oauth_basic':
      return basicCredential(source, now, signal);
    default:
      throw new TypeError(`no way to fetch ${(source satisfies never as CredentialSource).kind}`);
  }
}

/** RFC 6749, section 4.4, with the client's credentials in the body, where Entra and most others take them. */
async function clientCredential(
  { tokenUrl: url, clientId, clientSecret, scope }: AzureEntraSource | OauthClientSource,
  now: number,
  signal: AbortSignal,
): Promise<Credential> {
  const form = {
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: clientSecret,
    ...(scope !== null && { scope }),
  };
  return tokenFrom(await exchangeJson({ url, method: 'POST', form }, signal), url, now);
}

/** The same with the credentials in the head, where the grant is understood. */
async function basicCredential(
  { tokenUrl: url, credentials, scope, idHeader }: OauthBasicSource,
  now: number,
  signal: AbortSignal,
): Promise<Credential> {
  const headers = {
    accept: 'application/json',
    authorization: `Basic ${credentials}`,
    [idHeader]: randomUUID(),
  };
  const form = scope === null ? {} : { scope };
  return tokenFrom(await exchangeJson({ url, method: 'POST', headers, form }, signal), url, now);
}
