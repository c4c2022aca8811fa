/** What `sluice start` prints once it serves: where, with what, and a line to try it with. */

import { CATALOGUE, catalogueRow } from '../providers/catalogue.js';
import type { Config } from '../config/config.js';
import { isPattern } from '../governance/name-pattern.js';
import { block, dataLine, line, modelLines, providerLine } from './summary.js';

/** What the banner is made from. */
export interface BannerInput {
  readonly version: string;
  readonly config: Config;
  readonly configFile: string | null;
  /** Bound addresses, in the order of the listeners. */
  readonly dataAddresses: readonly string[];
  readonly adminUrl: string;
  readonly generatedAdminToken: string | null;
  readonly firstKeySecret: string | null;
  /** How to call this program again. */
  readonly program: string;
  /** Options that lead it to the same configuration, with a space in front. */
  readonly options: string;
}

/** Model asked of the built-in demo provider, which takes any name, and shown where nothing tells which names exist. */
const ANY_MODEL = 'demo';
const UNKNOWN_MODEL = 'MODEL';

/** The whole text. */
export function banner(input: BannerInput): string {
  const { config } = input;
  const api = input.dataAddresses.map((address, at) => `${apiUrl(address, isTls(config, at))}/v1`);
  const admin = `${reachable(input.adminUrl)}/admin/v1`;
  return [
    `Sluice ${input.version} is serving`,
    '',
    ...block('API', api),
    line('Admin', `${admin}  (openapi.json there; metrics at ${reachable(input.adminUrl)}/metrics)`),
    line(
      'Config',
      input.configFile ?? 'built-in defaults; a sluice.yaml in this directory is read at the next start',
    ),
    line('Data', dataLine(config)),
    ...block('Providers', config.providers.map(providerLine)),
    ...block('Models', modelLines(config.models)),
    '',
    ...credentialLines(input),
    '',
    'Try it:',
    ...tryLines(input),
    '',
    ...nextSteps(input),
  ].join('\n');
}

function credentialLines({
  generatedAdminToken,
  firstKeySecret,
  config,
  program,
  options,
}: BannerInput): string[] {
  const token =
    generatedAdminToken === null
      ? line(
          'Token',
          config.admin.token === null ? TOKEN_SHOWN_BEFORE : 'the admin token is the configured one',
        )
      : line('Token', `${generatedAdminToken}  (admin API; shown this once, only its digest is kept)`);
  if (!config.settings.requireKey) return [token, line('Key', 'none needed: settings.require_key is off')];
  const key =
    firstKeySecret === null
      ? `shown when it was made; another: ${program} keys create --name NAME${options}`
      : `${firstKeySecret}  (virtual key "default"; shown this once)`;
  return [token, line('Key', key)];
}

const TOKEN_SHOWN_BEFORE =
  'shown at the first start; set SLUICE_ADMIN_TOKEN or listeners.admin.token to replace it';

/** A request that works as pasted. Where no secret is at hand, a key is made on the way. */
function tryLines(input: BannerInput): string[] {
  const { config, firstKeySecret, program, options } = input;
  const at = Math.max(
    0,
    config.start.listeners.findIndex(({ tls }) => tls === null),
  );
  const tls = isTls(config, at);
  const url = `${apiUrl(input.dataAddresses[at] ?? '', tls)}/v1/chat/completions`;
  const body = JSON.stringify({
    model: exampleModel(config),
    messages: [{ role: 'user', content: 'Say hello' }],
  });
  const making = `  KEY=$(${program} keys create --secret-only --name "try-$(date +%s)"${options})`;
  const bearer =
    firstKeySecret === null ? '"Authorization: Bearer $KEY"' : `'Authorization: Bearer ${firstKeySecret}'`;
  return [
    ...(config.settings.requireKey && firstKeySecret === null ? [making] : []),
    `  curl ${tls ? '--insecure ' : ''}${url} \\`,
    ...(config.settings.requireKey ? [`    -H ${bearer} \\`] : []),
    `    -H 'Content-Type: application/json' \\`,
    `    -d '${body}'`,
  ];
}

function nextSteps({ config, program, options }: BannerInput): string[] {
  const demo = config.providers.some(({ baseUrl }) => baseUrl === null);
  const variables = CATALOGUE.flatMap(({ env }) => env.slice(0, 1))
    .slice(0, 4)
    .join(', ');
  return [
    'Next:',
    ...(demo ? [`  set ${variables} or another provider's key, and start again`] : []),
    `  ${program} keys create --name NAME${options}  # a key per application, with models and limits of its own`,
    `  ${program} check${options}  # before a change of the configuration`,
    '  Ctrl-C stops when running requests have finished; twice, at once',
  ];
}

/** A name that surely works: a known example of a provider that is served whole, or the first exact name. */
export function exampleModel({ models, providers }: Config): string {
  const whole = providers.filter(({ name }) => models.some((model) => model.name === `${name}/*`));
  for (const { name } of whole) {
    const example = catalogueRow(name)?.example;
    if (example !== undefined) return providers.length === 1 ? example : `${name}/${example}`;
  }
  const exact = models.find(({ name }) => !isPattern(name));
  if (exact !== undefined) return exact.name;
  return providers.some(({ baseUrl }) => baseUrl === null) ? ANY_MODEL : UNKNOWN_MODEL;
}

function isTls(config: Config, at: number): boolean {
  return config.start.listeners[at]?.tls !== null;
}

function apiUrl(address: string, tls: boolean): string {
  return reachable(`${tls ? 'https' : 'http'}://${address}`);
}

/** An address of every interface, as it is reached from this machine. */
function reachable(url: string): string {
  return url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}
