/** Sluice as it is shipped: started by its own command, with a key, limits, metering and metrics on. */

import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Upstreams } from './nginx.js';
import type { UpstreamName } from './rows.js';

/** The program a user runs. */
const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
/** The name that leads to the plain upstream's model under another name. */
const ALIAS = 'bench-alias';
/** High enough never to be reached; the limits are counted all the same. */
const LIMITS = {
  requests_per_minute: 1_000_000_000,
  tokens_per_minute: 100_000_000_000,
  concurrency: 1_000_000,
};

/** Five limits and two budgets, of every kind of window. */
const METERS = {
  rate_limits: [
    { requests: 1_000_000_000, window: '1m' },
    { requests: 100_000_000_000, window: 'day' },
    { tokens: 100_000_000_000, window: 'hour' },
    { output_tokens: 100_000_000_000, window: '10m', kind: 'sliding' },
    { concurrency: 1_000_000 },
  ],
  budgets: [
    { usd: 1_000_000, window: 'month', time_zone: 'Europe/Berlin', mode: 'strict' },
    { usd: 100_000, window: 'day' },
  ],
};

/** What a gateway of the bench is started with. */
export interface SluiceSetup {
  readonly folder: string;
  readonly dataPort: number;
  readonly adminPort: number;
  readonly workers: 'one' | 'default';
}

/** Secrets of a run; the configuration refers to them by name. */
export interface Secrets {
  readonly SLUICE_BENCH_KEY: string;
  readonly SLUICE_BENCH_METERED_KEY: string;
  readonly SLUICE_BENCH_UPSTREAM_KEY: string;
  readonly SLUICE_BENCH_ADMIN_TOKEN: string;
}

const secret = (name: keyof Secrets): string => `env:${name}`;

/** Secrets made for one run. */
export function freshSecrets(): Secrets {
  const random = (): string => randomBytes(24).toString('hex');
  return {
    SLUICE_BENCH_KEY: `sk-bench-${random()}`,
    SLUICE_BENCH_METERED_KEY: `sk-bench-${random()}`,
    SLUICE_BENCH_UPSTREAM_KEY: random(),
    SLUICE_BENCH_ADMIN_TOKEN: random(),
  };
}

/** Arguments that run a command of Sluice's own program with this Node.js. */
export function sluiceArguments(...args: string[]): string[] {
  return [MAIN, ...args];
}

/** The model to ask for. Upstreams are told apart by the model's name, as clients do it. */
export function modelOf(upstream: UpstreamName, alias: boolean): string {
  return alias ? ALIAS : `bench-${upstream}`;
}

/** Writes the configuration and returns the arguments to start the gateway with. */
export function prepareSluice(setup: SluiceSetup, upstreams: Upstreams): string[] {
  mkdirSync(setup.folder, { recursive: true });
  const file = join(setup.folder, 'sluice.yaml');
  // JSON is YAML.
  writeFileSync(file, `${JSON.stringify(sluiceConfig(setup, upstreams), null, 2)}\n`);
  return sluiceArguments('start', '--config', file);
}

/** The configuration: nothing is changed from the defaults but what the bench needs to find its way. */
export function sluiceConfig(setup: SluiceSetup, upstreams: Upstreams): object {
  const names = [...upstreams.keys()];
  const providers = [...upstreams].map(([name, { address, certificateFile }]) => {
    const scheme = certificateFile === null ? 'http' : 'https';
    const trust = certificateFile === null ? {} : { extra_ca_file: certificateFile };
    const key = secret('SLUICE_BENCH_UPSTREAM_KEY');
    return [name, { base_url: `${scheme}://${address}/v1`, key, ...trust }] as const;
  });
  // A strict budget lets nothing through whose answer could be of any length.
  const target = (name: UpstreamName): object => ({ provider: name, max_output_tokens: 4_096 });
  const models = names.map((name): [string, unknown] => [modelOf(name, false), { targets: [target(name)] }]);
  const aliases: [string, unknown][] = names.includes('plain')
    ? [[ALIAS, `plain/${modelOf('plain', false)}`]]
    : [];
  return {
    listeners: {
      data: { address: `127.0.0.1:${setup.dataPort}` },
      admin: { address: `127.0.0.1:${setup.adminPort}`, token: secret('SLUICE_BENCH_ADMIN_TOKEN') },
    },
    data_dir: join(setup.folder, 'data'),
    ...(setup.workers === 'one' ? { workers: 1 } : {}),
    providers: Object.fromEntries(providers),
    models: Object.fromEntries([...models, ...aliases]),
    prices: [{ model: '*', input: 0.000001, output: 0.000001 }],
    keys: [
      { name: 'bench', secret: secret('SLUICE_BENCH_KEY'), limits: LIMITS },
      { name: 'metered', secret: secret('SLUICE_BENCH_METERED_KEY'), ...METERS },
    ],
  };
}
