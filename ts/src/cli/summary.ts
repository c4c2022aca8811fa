/** What a configuration serves, in a few lines for people. Never a secret. */

import type { Config, ModelConfig, PostgresConfig, ProviderConfig, TargetConfig } from '../config/config.js';
import { formatAddress } from '../config/scalars.js';

/** Width of the column of names. */
const LABEL_WIDTH = 11;

/** Most destinations listed one by one. */
const MAX_LISTED_MODELS = 20;

/** Label and text, aligned. */
export function line(label: string, text: string): string {
  return `  ${label.padEnd(LABEL_WIDTH)}${text}`;
}

/** Listeners, providers, models and keys. */
export function summaryLines(config: Config): string[] {
  const data = config.start.listeners.map(
    ({ address, tls }) => formatAddress(address) + (tls === null ? '' : ' (TLS)'),
  );
  return [
    line('API', data.join(', ')),
    line('Admin', formatAddress(config.admin.address)),
    line('Data', dataLine(config)),
    ...block('Providers', config.providers.map(providerLine)),
    ...block('Models', modelLines(config.models)),
    line('Keys', keysLine(config)),
  ];
}

/** Where keys and usage are kept. */
export function dataLine({ dataDir, postgres }: Config): string {
  return postgres === null ? dataDir : postgresName(postgres);
}

/** Server, database and schema; never the password. */
export function postgresName({ host, port, database, schema }: PostgresConfig): string {
  const server = host.startsWith('/') ? host : `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return `PostgreSQL at ${server}, database ${database}, schema ${schema}`;
}

/** A label, and the lines beside and below it. */
export function block(label: string, lines: readonly string[]): string[] {
  return lines.map((text, at) => line(at === 0 ? label : '', text));
}

/** Name, address and where the key comes from. */
export function providerLine(provider: ProviderConfig): string {
  const address = provider.baseUrl ?? 'built in';
  return `${provider.name.padEnd(LABEL_WIDTH)} ${address}, ${keysOf(provider)}`;
}

function keysOf({ auth, keys, foundIn, baseUrl, authText, credential }: ProviderConfig): string {
  if (baseUrl === null) return 'answers anything with made-up text';
  if (auth.kind === 'none') return 'no key';
  if (credential !== null) return foundIn === null ? authText : `${authText} by ${foundIn}`;
  if (foundIn !== null) return `key from ${foundIn}`;
  return keys.length === 1 ? '1 key' : `${keys.length} keys`;
}

/** One line per destination with the names that lead there, up to a bound. */
export function modelLines(models: readonly ModelConfig[]): string[] {
  const names = new Map<string, string[]>();
  for (const model of models) {
    const to = destination(model);
    names.set(to, [...(names.get(to) ?? []), model.name, ...model.aliases]);
  }
  const lines = [...names].map(([to, from]) => `${from.join(', ')} -> ${to}`);
  const left = lines.length - MAX_LISTED_MODELS;
  return left > 0 ? [...lines.slice(0, MAX_LISTED_MODELS), `and ${left} more`] : lines;
}

function destination({ targets }: ModelConfig): string {
  const tiers = [...new Set(targets.map(({ tier }) => tier))];
  return tiers.map((tier) => shares(targets.filter((target) => target.tier === tier))).join(', then ');
}

function shares(targets: readonly TargetConfig[]): string {
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  return targets.map((target) => `${targetName(target)}${share(target.weight, total)}`).join(' + ');
}

function share(weight: number, total: number): string {
  return weight === total ? '' : ` ${Math.round((100 * weight) / Math.max(1, total))}%`;
}

function targetName({ provider, upstreamModel }: TargetConfig): string {
  return upstreamModel === null ? provider : `${provider}/${upstreamModel}`;
}

function keysLine({ keys, settings }: Config): string {
  if (!settings.requireKey) return 'none needed (settings.require_key is off)';
  const declared =
    keys.length === 0 ? 'none declared' : `${keys.map(({ name }) => name).join(', ')} declared`;
  return `${declared} here; more are kept in the database`;
}
