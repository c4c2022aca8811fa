/** `sluice keys`: makes, lists, rotates and revokes virtual keys, through a running gateway or in its database. */

import { type Command, InvalidArgumentError } from 'commander';
import type { PostgresConfig, SecretsConfig } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { formatAddress, parseMoment, type SocketAddress } from '../config/scalars.js';
import { ADMIN_TOKEN_VARIABLE } from '../config/section-listeners.js';
import { ADMIN_URL_FACT } from '../governance/ports.js';
import { MAX_CONCURRENCY, MAX_OVERLAP_MS, MAX_RATE } from '../governance/virtual-key.js';
import { openStore } from '../store/index.js';
import {
  addConfigOptions,
  configFileOf,
  dataDirOverride,
  printProblems,
  surroundingsOf,
  wholeNumber,
  type ConfigOptions,
} from './config-options.js';
import { CommandFailed, EXIT, PROCESS_IO, type Io } from './io.js';
import type { KeysAccess, KeyView, KeyWithSecret } from './keys-access.js';
import { ApiKeys, isAdminThere } from './keys-api.js';
import { StoredKeys } from './keys-store.js';
import { postgresName } from './summary.js';
import { table } from './table.js';

const MS_PER_UNIT: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const HELP = `
Where the keys are: with an admin token (--token, ${ADMIN_TOKEN_VARIABLE}, or listeners.admin.token) and a gateway that
answers, in that gateway, which applies the change before the command returns. Otherwise in the database of the data
directory; the command returns when a gateway that runs on it serves the change.

A secret is printed once and kept nowhere; only its SHA-256 digest is stored.

Exit codes: 0 done, 1 refused (no such key, name taken, ...), 2 wrong command line.

Examples:
  sluice keys create --name ci
  sluice keys create --name app --models 'gpt-4o*,text-embedding-3-small' --rpm 600 --concurrency 20 --expires 90d
  KEY=$(sluice keys create --name script --secret-only)
  sluice keys list
  sluice keys rotate app --overlap 24h      both secrets work for a day
  sluice keys revoke app
  sluice keys list --admin-url http://10.0.0.5:8081 --token "$TOKEN"
`;

interface PlaceOptions extends ConfigOptions {
  readonly adminUrl?: string;
  readonly token?: string;
  readonly json?: boolean;
}

interface CreateOptions extends PlaceOptions {
  readonly name: string;
  readonly models?: string[];
  readonly rpm?: number;
  readonly tpm?: number;
  readonly concurrency?: number;
  readonly expires?: number;
  readonly secretOnly?: boolean;
}

/** Adds the command and what is below it. */
export function registerKeys(program: Command, io: Io = PROCESS_IO): void {
  const keys = program
    .command('keys')
    .description('make, list, rotate and revoke virtual keys')
    .addHelpText('after', HELP);
  addPlace(keys.command('create').description('make a key and print its secret, once'))
    .requiredOption('--name <name>', 'name in lists, reports and metrics')
    .option(
      '--models <names>',
      'models it may use, with commas between; * in a name stands for anything',
      commaList,
    )
    .option('--rpm <count>', 'requests per minute', wholeNumber(1, MAX_RATE))
    .option('--tpm <count>', 'tokens per minute', wholeNumber(1, MAX_RATE))
    .option('--concurrency <count>', 'requests at once', wholeNumber(1, MAX_CONCURRENCY))
    .option('--expires <when>', 'a span such as 90d, or a date such as 2027-01-31', momentFromNow)
    .option('--secret-only', 'print nothing but the secret')
    .action((options: CreateOptions) => withKeys(options, io, (access) => create(access, options, io)));
  addPlace(keys.command('list').description('list keys'))
    .option('--all', 'revoked and expired ones too')
    .action((options: PlaceOptions & { all?: boolean }) =>
      withKeys(options, io, (access) => list(access, options, io)),
    );
  addPlace(keys.command('rotate').description('give a key a new secret and print it, once'))
    .argument('<key>', 'id or name')
    .option('--overlap <span>', 'how long the old secret stays accepted, such as 24h', overlap, 0)
    .option('--secret-only', 'print nothing but the secret')
    .action((key: string, options: PlaceOptions & { overlap: number; secretOnly?: boolean }) =>
      withKeys(options, io, async (access) => {
        const { id } = await find(access, key);
        printSecret(await access.rotate(id, options.overlap / 1_000), options, io);
      }),
    );
  addPlace(keys.command('revoke').description('end a key for good'))
    .argument('<key>', 'id or name')
    .action((key: string, options: PlaceOptions) =>
      withKeys(options, io, async (access) => {
        const { id } = await find(access, key);
        const revoked = await access.revoke(id);
        io.out(options.json === true ? JSON.stringify(revoked, null, 2) : `revoked ${nameOf(revoked)}`);
      }),
    );
}

function addPlace(command: Command): Command {
  return addConfigOptions(command)
    .option('--admin-url <url>', 'admin API of a running gateway (default: listeners.admin.address)')
    .option(
      '--token <token>',
      `admin token (better in ${ADMIN_TOKEN_VARIABLE}: arguments can be seen by others)`,
    )
    .option('--json', 'print JSON');
}

async function create(access: KeysAccess, options: CreateOptions, io: Io): Promise<void> {
  const limits = {
    ...(options.rpm !== undefined && { requests_per_minute: options.rpm }),
    ...(options.tpm !== undefined && { tokens_per_minute: options.tpm }),
    ...(options.concurrency !== undefined && { concurrency: options.concurrency }),
  };
  const made = await access.create({
    name: options.name,
    limits,
    ...(options.models !== undefined && { models: options.models }),
    ...(options.expires !== undefined && { expires_at: new Date(options.expires).toISOString() }),
  });
  printSecret(made, options, io);
}

function printSecret(
  { key, secret }: KeyWithSecret,
  options: { json?: boolean; secretOnly?: boolean },
  io: Io,
): void {
  if (options.json === true) return io.out(JSON.stringify({ key, secret }, null, 2));
  io.out(secret);
  if (options.secretOnly !== true) io.err(`the secret of ${nameOf(key)}, shown this once`);
}

async function list(access: KeysAccess, options: { all?: boolean; json?: boolean }, io: Io): Promise<void> {
  const all = await access.list();
  const keys = options.all === true ? all : all.filter(({ state }) => state === 'active');
  if (options.json === true) return io.out(JSON.stringify(keys, null, 2));
  if (keys.length === 0) return io.err(`no ${options.all === true ? '' : 'active '}keys in ${access.where}`);
  const rows = keys.map((key) => [
    String(key.id),
    key.name,
    key.hint === '' ? '' : `…${key.hint}`,
    key.state,
    key.source,
    key.models.join(',') || '(none)',
    limitsText(key),
    key.expires_at?.slice(0, 10) ?? '',
  ]);
  io.out(table(['ID', 'NAME', 'SECRET', 'STATE', 'SOURCE', 'MODELS', 'LIMITS', 'EXPIRES'], rows));
}

function limitsText({ limits }: KeyView): string {
  const parts = [
    limits.requests_per_minute !== null && `${limits.requests_per_minute} rpm`,
    limits.tokens_per_minute !== null && `${limits.tokens_per_minute} tpm`,
    limits.concurrency !== null && `${limits.concurrency} at once`,
  ];
  return parts.filter((part) => part !== false).join(', ');
}

/** The key with this id or, among those not revoked, this name. */
async function find(access: KeysAccess, wanted: string): Promise<KeyView> {
  const keys = await access.list();
  const found =
    keys.find(({ name, state }) => name === wanted && state !== 'revoked') ??
    keys.find(({ id }) => String(id) === wanted);
  if (found !== undefined) return found;
  throw new CommandFailed(`there is no key ${JSON.stringify(wanted)} in ${access.where}`);
}

async function withKeys(
  options: PlaceOptions,
  io: Io,
  work: (access: KeysAccess) => Promise<void>,
): Promise<void> {
  const { access, settle } = await openKeys(options, io);
  try {
    await work(access);
    await settle();
  } finally {
    await access.close();
  }
}

interface OpenKeys {
  readonly access: KeysAccess;
  /** Waits until a running gateway serves what was changed. */
  readonly settle: () => Promise<void>;
}

async function openKeys(options: PlaceOptions, io: Io): Promise<OpenKeys> {
  const variable = process.env[ADMIN_TOKEN_VARIABLE];
  if (options.adminUrl !== undefined) {
    const token = options.token ?? variable;
    if (token !== undefined) return remote(options.adminUrl, token);
    throw new CommandFailed(`--admin-url needs --token or ${ADMIN_TOKEN_VARIABLE}`, EXIT.usage);
  }
  const place = localPlace(options, io);
  const running = await isAdminThere(place.adminUrl);
  const token = options.token ?? place.token;
  if (running && token !== null) return remote(place.adminUrl, token);
  const where = place.postgres === null ? place.dataDir : postgresName(place.postgres);
  const store = await openStore(place.dataDir, place.postgres).catch((error: unknown) => {
    throw new CommandFailed(`cannot open the database in ${where}: ${(error as Error).message}`);
  });
  const access = new StoredKeys(store, where);
  const settle = async (): Promise<void> => {
    // A gateway may have been started on another address than the configuration has.
    const startedAt = await store.fact(ADMIN_URL_FACT);
    const isThere = running || (startedAt !== null && (await isAdminThere(startedAt)));
    if (isThere && !(await access.isServed())) io.err(NOT_SERVED);
  };
  return { access, settle };
}

const NOT_SERVED =
  'the gateway that runs seems not to serve this change yet: its log says why, unless it uses another database';

function remote(url: string, token: string): OpenKeys {
  const trimmed = url.replace(/\/+$/, '').replace(/\/admin\/v1$/, '');
  if (!/^https?:\/\/[^/]+/.test(trimmed))
    throw new CommandFailed('--admin-url must begin with http:// or https://', EXIT.usage);
  return { access: new ApiKeys(trimmed, token), settle: () => Promise.resolve() };
}

/** A data directory, and the gateway that may run on it. */
export interface LocalPlace {
  readonly dataDir: string;
  readonly postgres: PostgresConfig | null;
  readonly secrets: SecretsConfig;
  readonly adminUrl: string;
  readonly token: string | null;
}

/** Where this configuration keeps its keys. Provider keys that are not to be had here do not matter. */
export function localPlace(options: ConfigOptions, io: Io): LocalPlace {
  const { draft, problems } = loadConfig(configFileOf(options), surroundingsOf(dataDirOverride(options)));
  if (draft === null) {
    printProblems(problems, io);
    throw new CommandFailed('the configuration cannot be read');
  }
  const { address, token } = draft.admin;
  // Where the configuration wants PostgreSQL, a key in a file would be one that no gateway ever reads.
  const broken = problems.filter(({ path, severity }) => severity === 'error' && path.startsWith('store'));
  if (broken.length > 0) {
    printProblems(broken, io);
    throw new CommandFailed('the configuration does not say where the keys are');
  }
  const { dataDir, postgres, secrets } = draft;
  return { dataDir, postgres, secrets, adminUrl: `http://${formatAddress(reachable(address))}`, token };
}

/** An address of every interface, as it is reached from this machine. */
function reachable({ host, port }: SocketAddress): SocketAddress {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port };
  return { host: host === '::' ? '::1' : host, port };
}

function nameOf({ name, id }: KeyView): string {
  return `${JSON.stringify(name)} (id ${id})`;
}

function commaList(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function spanOf(text: string): number | null {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  return match === null ? null : Number(match[1]) * (MS_PER_UNIT[match[2] ?? ''] ?? 0);
}

function overlap(text: string): number {
  const span = text === '0' ? 0 : spanOf(text);
  if (span !== null && span <= MAX_OVERLAP_MS) return span;
  throw new InvalidArgumentError('Expected a span of at most 90d, such as 30m, 24h or 7d.');
}

function momentFromNow(text: string): number {
  const span = spanOf(text);
  const at = span === null ? parseMoment(text) : Date.now() + span;
  if (at !== null) return at;
  throw new InvalidArgumentError('Expected a span such as 90d, or a date such as 2027-01-31.');
}
