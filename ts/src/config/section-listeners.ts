/** Reads `listeners`. */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { AdminConfig, ListenerConfig } from './config.js';
import { DEFAULTS } from './defaults.js';
import { formatAddress, isLoopback, parseAddress, type SocketAddress } from './scalars.js';
import type { RawDataListener } from './schema.js';
import { checkHeaderText, section, warnOfPlainSecret, type Reading } from './section.js';
import { quoteName, type DocumentPath } from './wording.js';

/** Shortest admin token, in characters: with fewer, guessing over the network becomes feasible. */
export const MIN_TOKEN_CHARACTERS = 16;

/** Environment variable that holds the admin token where the file names none. */
export const ADMIN_TOKEN_VARIABLE = 'SLUICE_ADMIN_TOKEN';

/** The sockets to listen on. */
export function readListeners(reading: Reading): { data: ListenerConfig[]; admin: AdminConfig } {
  const data = dataListeners(reading);
  const admin = adminListener(reading);
  checkOpen(reading, data);
  checkCollisions(reading, [...data, { address: admin.address, path: ['listeners', 'admin'] }]);
  return { data: data.map(({ address, tls }) => ({ address, tls })), admin };
}

interface PlacedListener extends ListenerConfig {
  readonly path: DocumentPath;
}

function dataListeners(reading: Reading): PlacedListener[] {
  const raw = section(reading, 'listeners')?.data ?? {};
  const entries: [RawDataListener, DocumentPath][] = Array.isArray(raw)
    ? raw.map((entry, at) => [entry, ['listeners', 'data', at]])
    : [[raw, ['listeners', 'data']]];
  return entries.flatMap(([entry, path]) => {
    if (reading.problems.isBroken(path)) return [];
    return [
      { path, address: addressOf(entry.address ?? DEFAULTS.dataAddress), tls: tlsOf(reading, entry, path) },
    ];
  });
}

function adminListener(reading: Reading): AdminConfig {
  const path = ['listeners', 'admin'];
  const usable = !reading.problems.isBroken(path);
  const raw = usable ? (section(reading, 'listeners')?.admin ?? {}) : {};
  const address = addressOf(raw.address ?? DEFAULTS.adminAddress);
  const token = adminToken(reading, raw.token, path);
  if (usable && token === null && !isLoopback(address.host)) {
    reading.problems.error(
      { path },
      'admin_exposed',
      `found ${formatAddress(address)}, which other machines can reach, and no token; expected listeners.admin.token, ` +
        `${ADMIN_TOKEN_VARIABLE} in the environment, or a loopback address`,
    );
  }
  const allowedHosts = (raw.allowed_hosts ?? []).map((host) => host.toLowerCase());
  return { address, token, allowedHosts, metricsAccess: raw.metrics ?? DEFAULTS.metrics };
}

function adminToken(reading: Reading, written: string | undefined, path: DocumentPath): string | null {
  const fromVariable = reading.surroundings.variables[ADMIN_TOKEN_VARIABLE]?.trim();
  const token = written ?? (fromVariable === '' ? undefined : fromVariable);
  if (token === undefined) return null;
  const place = written === undefined ? path : [...path, 'token'];
  if (written !== undefined) warnOfPlainSecret(reading, place);
  const what = written === undefined ? ADMIN_TOKEN_VARIABLE : 'a token';
  checkHeaderText(token, place, what, reading.problems);
  if (token.length < MIN_TOKEN_CHARACTERS) {
    const message = `found ${what} of ${token.length} characters, expected at least ${MIN_TOKEN_CHARACTERS}`;
    reading.problems.error({ path: place }, 'short_token', message);
  }
  return token;
}

function tlsOf(reading: Reading, { tls }: RawDataListener, path: DocumentPath): ListenerConfig['tls'] {
  if (tls === undefined) return null;
  const certificatePath = [...path, 'tls', 'certificate_file'];
  const keyPath = [...path, 'tls', 'private_key_file'];
  const certificatePem = reading.references.readFile(tls.certificate_file, certificatePath, false);
  const privateKeyPem = reading.references.readFile(tls.private_key_file, keyPath, true);
  if (certificatePem === null || privateKeyPem === null) return null;
  checkPair(reading, { certificatePem, privateKeyPem }, certificatePath, keyPath);
  return { certificatePem, privateKeyPem };
}

type TlsPair = NonNullable<ListenerConfig['tls']>;

function checkPair(
  reading: Reading,
  pair: TlsPair,
  certificatePath: DocumentPath,
  keyPath: DocumentPath,
): void {
  const { problems, surroundings } = reading;
  const certificate = tried(() => new X509Certificate(pair.certificatePem));
  const key = tried(() => createPrivateKey(pair.privateKeyPem));
  if (certificate === null) {
    problems.error(
      { path: certificatePath },
      'bad_certificate',
      'found no certificate, expected -----BEGIN CERTIFICATE----- in PEM form',
    );
  }
  if (key === null) {
    problems.error(
      { path: keyPath },
      'bad_private_key',
      'found no usable private key, expected one in PEM form without a passphrase',
    );
  }
  if (certificate === null || key === null) return;
  if (!certificate.checkPrivateKey(key)) {
    problems.error(
      { path: keyPath },
      'key_mismatch',
      'found a private key that does not belong to the first certificate',
    );
  }
  if (Date.parse(certificate.validTo) <= surroundings.now) {
    problems.warning(
      { path: certificatePath },
      'expired_certificate',
      `found a certificate that expired at ${certificate.validTo}`,
    );
  }
}

/** Without keys, whoever reaches a listener spends the providers' money. */
function checkOpen({ raw, problems }: Reading, data: readonly PlacedListener[]): void {
  const settings: unknown = raw.settings;
  const requiresKey =
    typeof settings !== 'object' || settings === null || raw.settings?.require_key !== false;
  if (requiresKey || data.every(({ address }) => isLoopback(address.host))) return;
  const message =
    'found false, while other machines can reach a data listener: whoever does may use every provider';
  problems.warning({ path: ['settings', 'require_key'] }, 'open_gateway', message);
}

function checkCollisions(
  reading: Reading,
  listeners: readonly { address: SocketAddress; path: DocumentPath }[],
): void {
  for (const [at, { address, path }] of listeners.entries()) {
    const other = listeners.slice(0, at).find((earlier) => collide(earlier.address, address));
    if (other === undefined) continue;
    const message = `found ${quoteName(formatAddress(address))}, which another listener has, expected addresses of their own`;
    reading.problems.error({ path }, 'address_taken', message);
  }
}

function collide(a: SocketAddress, b: SocketAddress): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const everywhere = ['0.0.0.0', '::'];
  return a.host === b.host || everywhere.includes(a.host) || everywhere.includes(b.host);
}

function addressOf(text: string): SocketAddress {
  const address = parseAddress(text);
  if (address === null) throw new TypeError('an address that the schema accepted cannot be read');
  return address;
}

function tried<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
