/** Reads what stands in place of a key: credentials of Amazon, Google Cloud, Microsoft Entra ID and other token services. */

import { resolve } from 'node:path';
import type {
  AzureEntraSource,
  CredentialSource,
  OauthBasicSource,
} from '../governance/credential-source.js';
import { firstSet } from '../providers/catalogue.js';
import type { CatalogueRow, TokenService } from '../providers/row.js';
import { awsProfile } from './aws-profile.js';
import type { AuthConfig, ProviderKeyConfig } from './config.js';
import { DEFAULTS } from './defaults.js';
import { googleSource, GOOGLE_METADATA_URL } from './google-key.js';
import type { RawProvider } from './schema-routing.js';
import { checkHeaderText, warnOfPlainSecret, type Reading } from './section.js';
import type { DocumentPath } from './wording.js';

/** What the credentials of a provider come to. */
export interface Credentials {
  readonly keys: readonly ProviderKeyConfig[];
  readonly credential: CredentialSource | null;
  /** Where they were found when the file names none; null when it does. */
  readonly foundIn: string | null;
  /** Google Cloud project that the credential names. */
  readonly project: string | null;
}

/** Where the machine's own credentials are on Amazon. */
const AWS_METADATA_URL = 'http://169.254.169.254';
/** What a path of the container's credentials is relative to on Amazon. */
const AWS_CONTAINER_URL = 'http://169.254.170.2';

const ENTRA_AUTHORITY = 'https://login.microsoftonline.com';
const ENTRA_SCOPE = 'https://ai.azure.com/.default';

/** Name in records of a key that is not one of a list. */
const ONLY_KEY = '1';

/** Reads them for a way of authentication that is not a key. */
export function readCredentials(
  reading: Reading,
  raw: RawProvider,
  { auth, row }: { readonly auth: string; readonly row: CatalogueRow | undefined },
  path: DocumentPath,
): Credentials {
  if (auth === 'aws_sigv4') return readAws(reading, raw, path);
  if (auth === 'oauth') return readOauth(reading, raw, row?.tokenService ?? {}, path);
  return auth === 'azure_entra' ? readEntra(reading, raw, path) : readGoogle(reading, raw, path);
}

/** How Amazon's requests are signed; null after reporting that no region is known. */
export function signing(reading: Reading, raw: RawProvider, path: DocumentPath): AuthConfig | null {
  const region = raw.region ?? variable(reading, ['AWS_REGION', 'AWS_DEFAULT_REGION'])?.value;
  if (region !== undefined) return { kind: 'aws_sig_v4', region, service: raw.aws?.service ?? 'bedrock' };
  reading.problems.error(
    { path, part: 'key' },
    'missing_region',
    'found no region to sign requests for; expected region: NAME, or AWS_REGION in the environment',
  );
  return null;
}

function readAws(reading: Reading, raw: RawProvider, path: DocumentPath): Credentials {
  const { aws } = raw;
  if (aws?.access_key_id !== undefined || aws?.secret_access_key !== undefined) {
    return writtenAws(reading, aws, [...path, 'aws']);
  }
  const id = aws?.profile === undefined ? variable(reading, ['AWS_ACCESS_KEY_ID']) : undefined;
  const secret = variable(reading, ['AWS_SECRET_ACCESS_KEY']);
  if (id !== undefined && secret !== undefined) {
    const token = valueOf(reading, 'AWS_SESSION_TOKEN');
    return known(awsSecret(id.value, secret.value, token), id.name);
  }
  return profileOf(reading, raw, path) ?? fetchedAws(reading, raw, path);
}

function writtenAws(reading: Reading, aws: NonNullable<RawProvider['aws']>, path: DocumentPath): Credentials {
  const { access_key_id: id, secret_access_key: secret, session_token: token } = aws;
  for (const [name, value] of Object.entries({ secret_access_key: secret, session_token: token })) {
    if (value !== undefined) warnOfPlainSecret(reading, [...path, name]);
  }
  if (id !== undefined && secret !== undefined) return known(awsSecret(id, secret, token), null);
  const missing = id === undefined ? 'access_key_id' : 'secret_access_key';
  reading.problems.error(
    { path },
    'half_a_credential',
    `found no ${missing}, expected access_key_id and secret_access_key together`,
  );
  return NONE;
}

function profileOf(reading: Reading, raw: RawProvider, path: DocumentPath): Credentials | null {
  const named = raw.aws?.profile;
  const profile = named ?? valueOf(reading, 'AWS_PROFILE');
  const found = awsProfile(reading, profile ?? 'default');
  if (found.kind === 'keys')
    return known(awsSecret(found.id, found.secret, found.token), `profile ${found.name}`);
  if (profile === undefined) return null;
  const place = named === undefined ? { path, part: 'key' as const } : { path: [...path, 'aws', 'profile'] };
  reading.problems.error(
    place,
    'unusable_profile',
    `found ${found.problem}, expected one with an access key`,
  );
  return NONE;
}

/** The link-local addresses are asked only where the environment points to them, or the file allows it. */
function fetchedAws(reading: Reading, raw: RawProvider, path: DocumentPath): Credentials {
  const relative = variable(reading, ['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI']);
  const full = variable(reading, ['AWS_CONTAINER_CREDENTIALS_FULL_URI']);
  const container = relative ?? full;
  if (container !== undefined) {
    const url = relative === undefined ? container.value : `${AWS_CONTAINER_URL}${relative.value}`;
    const token = valueOf(reading, 'AWS_CONTAINER_AUTHORIZATION_TOKEN') ?? null;
    const tokenFile = valueOf(reading, 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE') ?? null;
    return fetched({ kind: 'aws_container', url, token, tokenFile }, container.name);
  }
  const role = variable(reading, ['AWS_ROLE_ARN']);
  const file = variable(reading, ['AWS_WEB_IDENTITY_TOKEN_FILE']);
  if (role !== undefined && file !== undefined) return webIdentity(reading, raw, role.value, file);
  if (raw.allow_metadata === true) return fetched({ kind: 'aws_instance', url: AWS_METADATA_URL }, null);
  return missing(reading, path, 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or aws');
}

function webIdentity(reading: Reading, raw: RawProvider, roleArn: string, file: Variable): Credentials {
  const region = raw.region ?? variable(reading, ['AWS_REGION', 'AWS_DEFAULT_REGION'])?.value ?? 'us-east-1';
  const sessionName = valueOf(reading, 'AWS_ROLE_SESSION_NAME') ?? 'sluice';
  const url = `https://sts.${region}.amazonaws.com`;
  return fetched({ kind: 'aws_web_identity', url, roleArn, tokenFile: file.value, sessionName }, file.name);
}

function readGoogle(reading: Reading, raw: RawProvider, path: DocumentPath): Credentials {
  const place = [...path, 'key'];
  if (raw.key !== undefined) {
    warnOfPlainSecret(reading, place);
    return googleKey(reading, raw.key, { path: place }, null);
  }
  const file = variable(reading, ['GOOGLE_APPLICATION_CREDENTIALS']);
  if (file !== undefined) {
    const text = reading.references.readFile(resolve(file.value), path, true);
    return text === null ? NONE : googleKey(reading, text, { path, part: 'key' }, file.name);
  }
  if (raw.allow_metadata === true)
    return fetched({ kind: 'google_instance', url: GOOGLE_METADATA_URL }, null);
  return missing(reading, path, 'GOOGLE_APPLICATION_CREDENTIALS in the environment, or key: file:PATH');
}

function googleKey(
  reading: Reading,
  text: string,
  place: { readonly path: DocumentPath; readonly part?: 'key' },
  foundIn: string | null,
): Credentials {
  const { source, project, problem } = googleSource(text);
  if (source !== null) return { ...fetched(source, foundIn), project };
  const where = foundIn === null ? '' : ` in the file of ${foundIn}`;
  reading.problems.error(
    place,
    'bad_google_key',
    `found ${problem}${where}, expected the JSON key of a service account`,
  );
  return NONE;
}

function readEntra(reading: Reading, raw: RawProvider, path: DocumentPath): Credentials {
  const entra = raw.entra ?? {};
  const place = [...path, 'entra'];
  if (entra.client_secret !== undefined) warnOfPlainSecret(reading, [...place, 'client_secret']);
  const authority = entraAuthority(reading, entra.authority, place);
  if (authority === null) return NONE;
  const [tenant, clientId, clientSecret] = [
    entra.tenant_id ?? valueOf(reading, 'AZURE_TENANT_ID'),
    entra.client_id ?? valueOf(reading, 'AZURE_CLIENT_ID'),
    entra.client_secret ?? valueOf(reading, 'AZURE_CLIENT_SECRET'),
  ];
  if (!tenant || !clientId || !clientSecret) {
    const names = 'AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET';
    return missing(reading, path, `${names} in the environment, or entra`);
  }
  const tokenUrl = `${authority}/${tenant}/oauth2/v2.0/token`;
  const scope = entra.scope ?? ENTRA_SCOPE;
  const source: AzureEntraSource = { kind: 'azure_entra', tokenUrl, clientId, clientSecret, scope };
  return fetched(source, entra.client_secret === undefined ? 'AZURE_CLIENT_SECRET' : null);
}

/** A client of a token service: what the file says, and what is known of the provider's service. */
function readOauth(
  reading: Reading,
  { oauth = {} }: RawProvider,
  service: TokenService,
  path: DocumentPath,
): Credentials {
  const place = [...path, 'oauth'];
  if (oauth.client_secret !== undefined) warnOfPlainSecret(reading, [...place, 'client_secret']);
  const [tokenUrl, clientId, clientSecret] = [
    oauth.token_url ?? tokenUrlIn(reading, service.urlEnv),
    oauth.client_id ?? optionalValue(reading, service.clientIdEnv),
    oauth.client_secret ?? optionalValue(reading, service.clientSecretEnv),
  ];
  if (!tokenUrl || !clientId || !clientSecret) return missing(reading, path, clientExpected(service));
  if (!isTokenUrl(reading, tokenUrl, place)) return NONE;
  const scope = scopeOf(reading, oauth, service);
  const foundIn = oauth.client_secret === undefined ? (service.clientSecretEnv ?? null) : null;
  return fetched({ kind: 'oauth_client', tokenUrl, clientId, clientSecret, scope }, foundIn);
}

function clientExpected({ urlEnv, clientIdEnv, clientSecretEnv }: TokenService): string {
  const names = [urlEnv, clientIdEnv, clientSecretEnv].filter((name) => name !== undefined);
  const inEnvironment = names.length === 0 ? '' : `${names.join(', ')} in the environment, or `;
  return `${inEnvironment}oauth with token_url, client_id and client_secret`;
}

type RawOauth = NonNullable<RawProvider['oauth']>;

function scopeOf(reading: Reading, oauth: RawOauth, service: TokenService): string | null {
  return oauth.scope ?? optionalValue(reading, service.scopeEnv) ?? service.scope ?? null;
}

/** A provider's key, for which its service gives out tokens. */
export function readServiceKey(
  reading: Reading,
  raw: RawProvider,
  { name, env, tokenService = {} }: CatalogueRow,
  path: DocumentPath,
): Credentials {
  const { oauth = {}, key } = raw;
  const place = [...path, 'oauth'];
  if (hasClient(reading, oauth, place, name)) return NONE;
  const found = variable(reading, env);
  const credentials = key ?? found?.value;
  if (credentials === undefined)
    return missing(reading, path, `${env.join(' or ')} in the environment, or key`);
  if (key !== undefined) warnOfPlainSecret(reading, [...path, 'key']);
  checkHeaderText(credentials, [...path, 'key'], 'the key', reading.problems);
  const { url = '', idHeader = 'x-request-id' } = tokenService;
  const tokenUrl = oauth.token_url ?? url;
  if (!isTokenUrl(reading, tokenUrl, place)) return NONE;
  const scope = scopeOf(reading, oauth, tokenService);
  const source: OauthBasicSource = { kind: 'oauth_basic', tokenUrl, credentials, scope, idHeader };
  return fetched(source, foundInOf(key, found));
}

function foundInOf(key: string | undefined, found: Variable | undefined): string | null {
  return key === undefined && found !== undefined ? found.name : null;
}

/** Reports a client where the provider has a key in its place. */
function hasClient(reading: Reading, oauth: RawOauth, place: DocumentPath, name: string): boolean {
  const refused = (['client_id', 'client_secret'] as const).find((member) => oauth[member] !== undefined);
  if (refused === undefined) return false;
  const message = `found ${refused}, expected the key of ${name} as key`;
  reading.problems.error({ path: [...place, refused], part: 'key' }, 'unused_key', message);
  return true;
}

function isTokenUrl(reading: Reading, url: string, place: DocumentPath): boolean {
  if (/^https:\/\/[^/?#@\s]+(\/[^?#\s]*)?$/.test(url) || isOnThisMachine(url)) return true;
  const message = 'found something that is not the https:// URL of a token service';
  reading.problems.error({ path: [...place, 'token_url'] }, 'bad_url', message);
  return false;
}

/** An address in the environment; one without a path is that of the host. */
function tokenUrlIn(reading: Reading, name: string | undefined): string | undefined {
  const url = optionalValue(reading, name)?.replace(/\/+$/, '');
  return url !== undefined && /^https?:\/\/[^/]+$/.test(url) ? `${url}/oauth/token` : url;
}

function optionalValue(reading: Reading, name: string | undefined): string | undefined {
  return name === undefined ? undefined : valueOf(reading, name);
}

/** The one place to which a secret may go without TLS. */
function isOnThisMachine(url: string): boolean {
  return /^http:\/\/127\.0\.0\.1(:\d+)?(\/[^?#\s]*)?$/.test(url);
}

/** Where tokens are given out, without a slash at its end. The secret goes there, so it is TLS or this machine. */
function entraAuthority(reading: Reading, given: string | undefined, place: DocumentPath): string | null {
  const written = given ?? ENTRA_AUTHORITY;
  const fits = /^https:\/\/[^/?#@]+\/?$/.test(written) || isOnThisMachine(written);
  if (fits) return written.replace(/\/$/, '');
  const message = `found something that is not the https:// URL of a host, expected ${ENTRA_AUTHORITY}`;
  reading.problems.error({ path: [...place, 'authority'] }, 'bad_url', message);
  return null;
}

/** No credentials, or unreadable ones. */
export const NONE: Credentials = { keys: [], credential: null, foundIn: null, project: null };

function missing({ problems }: Reading, path: DocumentPath, expected: string): Credentials {
  problems.error({ path, part: 'key' }, 'missing_key', `found no credentials, expected ${expected}`);
  return NONE;
}

function known(secret: string, foundIn: string | null): Credentials {
  return { ...NONE, keys: [{ name: ONLY_KEY, secret, weight: DEFAULTS.weight, rules: [] }], foundIn };
}

/** The secret follows when it has been fetched. */
function fetched(credential: CredentialSource, foundIn: string | null): Credentials {
  return { ...known('', foundIn), credential };
}

/** A credential of Amazon as the data plane takes it. */
function awsSecret(id: string, secret: string, token: string | undefined): string {
  return JSON.stringify({
    access_key_id: id,
    secret_access_key: secret,
    ...(token !== undefined && { session_token: token }),
  });
}

interface Variable {
  readonly name: string;
  readonly value: string;
}

function valueOf(reading: Reading, name: string): string | undefined {
  return variable(reading, [name])?.value;
}

function variable({ surroundings }: Reading, names: readonly string[]): Variable | undefined {
  const name = firstSet(names, surroundings.variables);
  return name === undefined ? undefined : { name, value: (surroundings.variables[name] ?? '').trim() };
}
