/** Reads the address of a provider: written, known, or known with parts that differ by account. */

import { isIP } from 'node:net';
import {
  catalogueNames,
  endpointVariables,
  firstSet,
  LOCATION_VARIABLES,
  PROJECT_VARIABLES,
  REGION_VARIABLES,
} from '../providers/catalogue.js';
import { LEFT_OUT } from '../providers/data/left-out.js';
import type { AddressPart, CatalogueRow } from '../providers/row.js';
import { isLoopback } from './scalars.js';
import type { RawProvider } from './schema-routing.js';
import type { Reading } from './section.js';
import { suggestion, type DocumentPath } from './wording.js';

/** Where Vertex AI is asked when nothing says otherwise: every region, and the newest models first. */
const DEFAULT_LOCATION = 'global';

/** What Azure appends to an address for OpenAI's own format. */
const AZURE_SUFFIX = '/openai/v1';

/** A provider whose address is read. */
export interface AddressPlace {
  readonly name: string;
  readonly path: DocumentPath;
  readonly row: CatalogueRow | undefined;
  /** Whether a credential is sent. */
  readonly keyed: boolean;
  /** Azure's API by deployment. */
  readonly byDeployment: boolean;
  /** Project named by the credential; null where there is none. */
  readonly project: string | null;
}

/** The address without a slash at its end; null after reporting what is wrong with it. */
export function readBaseUrl(reading: Reading, raw: RawProvider, place: AddressPlace): string | null {
  const written = raw.base_url ?? foundEndpoint(reading, place) ?? place.row?.baseUrl;
  if (written === undefined) {
    reportUnknown(reading, place);
    return null;
  }
  const filled = fillParts(reading, raw, forAzure(written, raw, place), place);
  if (filled === null) return null;
  const path = [...place.path, 'base_url'];
  const url = URL.canParse(filled) ? new URL(filled) : null;
  const wrong = urlProblem(url);
  if (wrong !== null) {
    reading.problems.error(
      { path },
      'bad_url',
      `found ${wrong}, expected an http:// or https:// URL such as https://api.example.com/v1`,
    );
    return null;
  }
  if (url?.protocol === 'http:' && place.keyed && isPublic(url.hostname)) {
    reading.problems.warning(
      { path },
      'plain_http',
      'found http:// to a public name, which shows the key to the network; expected https://',
    );
  }
  return filled.replace(/\/+$/, '');
}

function reportUnknown({ problems }: Reading, { name, path }: AddressPlace): void {
  const reason = LEFT_OUT[name];
  const why =
    reason === undefined
      ? `since this is not the name of a known provider${suggestion(name, catalogueNames())}`
      : `since ${name} cannot be served as it is: it ${reason}`;
  problems.error({ path, part: 'key' }, 'missing_base_url', `found no base_url, expected one ${why}`);
}

/** The whole address in the environment, where the provider has a usual variable for it. */
function foundEndpoint(reading: Reading, { row }: AddressPlace): string | undefined {
  const { variables } = reading.surroundings;
  const variable = row === undefined ? undefined : firstSet(endpointVariables(row), variables);
  const found = variable === undefined ? undefined : variables[variable]?.trim().replace(/\/+$/, '');
  return found === undefined || found.endsWith(AZURE_SUFFIX) ? found : `${found}${AZURE_SUFFIX}`;
}

/** By deployment, Azure's paths start at the host. A written address stays as it is. */
function forAzure(address: string, raw: RawProvider, { byDeployment }: AddressPlace): string {
  const cut = byDeployment && raw.base_url === undefined && address.endsWith(AZURE_SUFFIX);
  return cut ? address.slice(0, -AZURE_SUFFIX.length) : address;
}

function fillParts(reading: Reading, raw: RawProvider, address: string, place: AddressPlace): string | null {
  const missing: AddressPart[] = [];
  const filled = address.replaceAll(/\{(region|project|location|account)\}/g, (_, part: AddressPart) => {
    const value = partOf(reading, raw, part, place);
    if (value === null) missing.push(part);
    return value ?? '';
  });
  for (const part of new Set(missing)) {
    const usual = variablesOf(part, place)[0];
    const expected = usual === undefined ? `${part}: NAME` : `${part}: NAME, or ${usual} in the environment`;
    reading.problems.error(
      { path: place.path, part: 'key' },
      `missing_${part}`,
      `found no ${part}, which is part of the address; expected ${expected}`,
    );
  }
  if (missing.length > 0) return null;
  return filled.replace('://global-aiplatform.', '://aiplatform.');
}

/** A part of the address: from the file, the environment, or what is usual. */
function partOf(reading: Reading, raw: RawProvider, part: AddressPart, place: AddressPlace): string | null {
  const { variables } = reading.surroundings;
  const variable = firstSet(variablesOf(part, place), variables);
  const found = raw[part] ?? (variable === undefined ? undefined : variables[variable]?.trim());
  if (found !== undefined) return found;
  if (part === 'location') return DEFAULT_LOCATION;
  return part === 'project' ? place.project : null;
}

function variablesOf(part: AddressPart, { row }: AddressPlace): readonly string[] {
  if (part === 'region') return REGION_VARIABLES;
  if (part === 'project') return PROJECT_VARIABLES;
  return part === 'location' ? LOCATION_VARIABLES : (row?.accountEnv ?? []);
}

function urlProblem(url: URL | null): string | null {
  if (url === null) return 'something that is not a URL';
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return `a URL of scheme ${url.protocol.slice(0, 16)}`;
  if (url.username !== '' || url.password !== '') return 'a URL with credentials in it';
  return url.search !== '' || url.hash !== '' ? 'a URL with a query or a fragment' : null;
}

/** A host name with a dot that is neither an address nor under a name reserved for private use. */
function isPublic(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  if (isIP(bare) !== 0)
    return !isLoopback(bare) && !/^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|fc|fd|fe80)/i.test(bare);
  return host.includes('.') && !/\.(local|localhost|internal|home\.arpa|test)$/.test(host);
}
