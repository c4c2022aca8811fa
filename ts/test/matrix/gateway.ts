/** The gateway as users run it, in a process of its own, with every upstream as a provider. */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FAILURES, type Failure } from './cell.js';
import { DIALECTS, type Dialect } from './script.js';
import { PROVIDER_KEY, type Upstream } from './server.js';
import { ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY } from './upstreams/sigv4.js';

/** The virtual key that clients show. */
export const KEY = 'sk-matrix-virtual-0123456789abcdef';

/** Longest wait for the gateway to serve. */
const START_MS = 30_000;

/** How a provider's dialect is called in the configuration. */
const NAMES: Readonly<Record<Dialect, string>> = {
  'openai-chat': 'openai',
  'openai-responses': 'openai_responses',
  anthropic: 'anthropic',
  gemini: 'gemini',
  bedrock: 'bedrock',
  cohere: 'cohere',
};

export type Upstreams = Readonly<Record<Dialect, Upstream>>;

/** The model under which clients reach an upstream. */
export function modelOf(dialect: Dialect): string {
  return `scripted-${dialect}`;
}

/** That of its other generation. */
export function siblingOf(dialect: Dialect): string {
  return `sibling-${dialect}`;
}

/** A model of its own for every failure, so that no provider is rested for what another cell made it do. */
export function failingModelOf(client: Dialect, upstream: Dialect, how: Failure): string {
  return `failing-${client}-${upstream}-${how}`;
}

/** How a provider wants its key, where it is not as a bearer token. */
const AUTH: Readonly<Partial<Record<Dialect, string>>> = {
  anthropic: 'header:x-api-key',
  gemini: 'header:x-goog-api-key',
};

/** An upstream as a provider. */
export function providerOf({ url, provider }: Upstream): object {
  const { dialect } = provider;
  const common = { dialect: NAMES[dialect], base_url: url };
  // A provider of OpenAI's dialect has both of its APIs, unless it is said not to.
  if (dialect === 'openai-chat') return { ...common, key: PROVIDER_KEY, quirks: ['no_responses'] };
  if (dialect !== 'bedrock') return { ...common, auth: AUTH[dialect] ?? 'bearer', key: PROVIDER_KEY };
  const aws = { access_key_id: ACCESS_KEY_ID, secret_access_key: SECRET_ACCESS_KEY };
  return { ...common, auth: 'aws_sigv4', region: REGION, aws };
}

function configOf(upstreams: Upstreams): object {
  const providers: Record<string, object> = {};
  const models: Record<string, object> = {};
  const add = (name: string, upstream: Upstream): void => {
    providers[name] = providerOf(upstream);
    models[name] = { targets: [{ provider: name, model: upstream.provider.model }] };
  };
  for (const dialect of DIALECTS) {
    add(modelOf(dialect), upstreams[dialect]);
    const { sibling } = upstreams[dialect].provider;
    if (sibling !== undefined) {
      models[siblingOf(dialect)] = { targets: [{ provider: modelOf(dialect), model: sibling }] };
    }
    for (const client of DIALECTS) {
      for (const how of FAILURES) add(failingModelOf(client, dialect, how), upstreams[dialect]);
    }
  }
  return {
    listeners: { data: { address: '127.0.0.1:0' }, admin: { address: '127.0.0.1:0' } },
    keys: [{ name: 'matrix', secret: 'env:SLUICE_MATRIX_KEY' }],
    providers,
    models,
    timeouts: { drain_lag: '0s' },
    settings: { reload_on_change: false },
  };
}

/** A running gateway. */
export interface Gateway {
  /** `http://127.0.0.1:port` */
  readonly origin: string;
  /** What it has printed. */
  readonly log: () => string;
  stop: () => Promise<void>;
}

/** Starts the program and waits until it serves. */
export async function startGateway(program: string, upstreams: Upstreams): Promise<Gateway> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-matrix-'));
  // JSON is YAML.
  writeFileSync(join(directory, 'sluice.yaml'), JSON.stringify(configOf(upstreams), null, 2));
  const child = spawn(process.execPath, [program, 'start'], {
    cwd: directory,
    env: { PATH: process.env['PATH'] ?? '', SLUICE_MATRIX_KEY: KEY },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (log += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const stop = async (): Promise<void> => {
    await ended(child);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    return { origin: await originOf(child, () => log), log: () => log, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The address that the program says it serves at. */
function originOf(child: ChildProcess, log: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`the gateway ${why}\n${log()}`));
    const timer = setTimeout(() => fail('does not serve'), START_MS);
    child.once('close', (code) => {
      clearTimeout(timer);
      fail(`ended with code ${code}`);
    });
    child.stdout?.on('data', () => {
      const origin = /(http:\/\/[\d.]+:\d+)\/v1$/m.exec(log())?.[1];
      if (origin === undefined || !log().includes('Ctrl-C stops')) return;
      clearTimeout(timer);
      resolve(origin);
    });
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  await closed;
}
