/**
 * Providers as facts: where the API is, what it speaks, how the key is sent, which environment variable holds it, and
 * which model names are the provider's own. A row makes a provider usable with nothing but a key.
 */

import { CERTAIN } from './data/certain.js';
import { IMPORTED } from './data/imported.js';
import type { CatalogueRow } from './row.js';

/** Every known provider, in the order in which found ones are listed. */
export const CATALOGUE: readonly CatalogueRow[] = [...CERTAIN, ...IMPORTED];

const BY_NAME: ReadonlyMap<string, CatalogueRow> = new Map(
  CATALOGUE.flatMap((entry) => [entry.name, ...entry.aliases].map((name) => [name, entry] as const)),
);

/** The row of a known provider, by its name or another one it is known by. */
export function catalogueRow(name: string): CatalogueRow | undefined {
  return BY_NAME.get(name);
}

/** Every name a provider may be configured by. */
export function catalogueNames(): string[] {
  return [...BY_NAME.keys()];
}

/** Environment variables by name. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Known providers that the environment holds all credentials of, in the catalogue's order. */
export function findProviders(variables: Variables): CatalogueRow[] {
  return CATALOGUE.filter((entry) => entry.discovered && isFound(entry, variables));
}

/** The first of a provider's variables that holds something; where none is usual, that of its name. */
export function keyVariable(entry: CatalogueRow, variables: Variables): string | undefined {
  return firstSet(keyVariables(entry), variables);
}

/** The variables a provider's key may be in. */
export function keyVariables(entry: CatalogueRow): readonly string[] {
  return entry.env.length > 0 ? entry.env : [`${entry.name.toUpperCase().replaceAll('-', '_')}_API_KEY`];
}

/** The first of the variables that holds something. A blank one counts as absent. */
export function firstSet(names: readonly string[], variables: Variables): string | undefined {
  return names.find((name) => (variables[name] ?? '').trim() !== '');
}

/** Variables that hold the region of an AWS account. */
export const REGION_VARIABLES = ['AWS_REGION', 'AWS_DEFAULT_REGION'];
/** Variables that hold a Google Cloud project. */
export const PROJECT_VARIABLES = ['GOOGLE_CLOUD_PROJECT', 'GCLOUD_PROJECT', 'VERTEXAI_PROJECT'];
/** Variables that hold a location of Vertex AI. */
export const LOCATION_VARIABLES = ['GOOGLE_CLOUD_LOCATION', 'VERTEXAI_LOCATION'];
/** Variables that hold the whole address of an Azure resource. */
export const AZURE_ENDPOINT_VARIABLES = ['AZURE_OPENAI_ENDPOINT', 'AZURE_API_BASE'];
/** Variables that hold Azure's API version. */
export const AZURE_VERSION_VARIABLES = ['OPENAI_API_VERSION', 'AZURE_API_VERSION'];

/**
 * Providers that want more than a key are found only where all of it is there: keys for AWS alone, say, are on many
 * machines that have nothing to do with models, and would take the place of the built-in demo provider.
 */
function isFound(entry: CatalogueRow, variables: Variables): boolean {
  const has = (names: readonly string[]): boolean => firstSet(names, variables) !== undefined;
  const needs: (readonly [part: string, names: readonly string[]])[] = [
    ['{region}', REGION_VARIABLES],
    ['{project}', PROJECT_VARIABLES],
    ['{account}', [...entry.accountEnv, ...endpointVariables(entry)]],
  ];
  if (needs.some(([part, names]) => entry.baseUrl.includes(part) && !has(names))) return false;
  if (entry.auth === 'google_service_account') return has(['GOOGLE_APPLICATION_CREDENTIALS']);
  if (entry.auth !== 'aws_sigv4') return keyVariable(entry, variables) !== undefined;
  const keyed = has(['AWS_ACCESS_KEY_ID']) && has(['AWS_SECRET_ACCESS_KEY']);
  return keyed || has(['AWS_BEARER_TOKEN_BEDROCK']);
}

/** Variables that hold a provider's whole address. */
export function endpointVariables({ name }: CatalogueRow): readonly string[] {
  return name === 'azure' ? AZURE_ENDPOINT_VARIABLES : [];
}
