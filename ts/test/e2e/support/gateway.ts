/** A gateway in a process of its own, with a known key and admin token, on ports that the system chooses. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emptyDirectory, launch, PROGRAM, type Ended, type Running } from './program.js';
import { parseMetrics, type Metrics } from './metrics.js';
import { eventually } from './wait.js';

/** The virtual key that every gateway of these tests accepts. */
export const KEY = 'sk-test-virtual-0123456789abcdef';
/** The token of its admin API. */
export const ADMIN_TOKEN = 'sluice-admin-Tests0xQ2mN5vB7kL9pR4tW6y';

/** One row of `/admin/v1/usage/requests`. */
export interface RequestRow {
  readonly id: string;
  readonly key: { readonly name: string | null };
  readonly model: { readonly name: string | null };
  readonly route: string;
  readonly status: number;
  readonly error: string | null;
  readonly stream: boolean;
  readonly client_aborted: boolean;
  readonly truncated: boolean;
  readonly estimated: boolean;
  readonly attempts: number;
  readonly input_tokens: number;
  readonly cached_input_tokens: number;
  readonly cache_write_tokens: number;
  readonly output_tokens: number;
  readonly reasoning_tokens: number;
  /** Decimal; null without a price. */
  readonly cost_usd: string | null;
}

/** One row of `/admin/v1/usage`. */
export type UsageSums = Readonly<Record<string, number>>;

/** How a gateway is started. */
export interface GatewaySetup {
  /** Sections of the configuration besides listeners and keys, or all of its text. */
  readonly config: Readonly<Record<string, unknown>> | string;
  readonly env?: Readonly<Record<string, string>>;
  /** An earlier gateway's, to start again where it ended. */
  readonly directory?: string;
  /** Options of Node.js itself. */
  readonly nodeOptions?: readonly string[];
  /** Options of `sluice start`. */
  readonly options?: readonly string[];
}

/** A configuration with what all of these tests share. */
export function withDefaults(sections: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { listeners = {}, timeouts = {}, settings = {} } = sections as Record<string, object>;
  return {
    keys: [{ name: 'tests', secret: 'env:SLUICE_TEST_KEY' }],
    ...sections,
    listeners: {
      data: { address: '127.0.0.1:0' },
      ...listeners,
      admin: { address: '127.0.0.1:0', token: 'env:SLUICE_TEST_TOKEN' },
    },
    timeouts: { drain_lag: '0s', ...timeouts },
    settings: { reload_on_change: false, ...settings },
  };
}

/** A running gateway. */
export class Gateway {
  private constructor(
    readonly process: Running,
    readonly directory: string,
    /** `http://127.0.0.1:port/v1`, of the first listener that has no TLS. */
    readonly url: string,
    /** `http://127.0.0.1:port` */
    readonly adminUrl: string,
  ) {}

  static async start(setup: GatewaySetup): Promise<Gateway> {
    const directory = setup.directory ?? emptyDirectory();
    const { config, nodeOptions = [], options = [] } = setup;
    writeConfig(directory, typeof config === 'string' ? config : withDefaults(config));
    const env = { SLUICE_TEST_KEY: KEY, SLUICE_TEST_TOKEN: ADMIN_TOKEN, ...setup.env };
    const args = [...nodeOptions, PROGRAM, 'start', ...options];
    const process_ = launch(process.execPath, args, { directory, env });
    const [url, adminUrl] = await addressesOf(process_);
    return new Gateway(process_, directory, url, adminUrl);
  }

  /** `http://127.0.0.1:port` */
  get origin(): string {
    return this.url.replace(/\/v1$/, '');
  }

  /** Replaces the configuration file; a reload is another matter. */
  writeConfig(config: Readonly<Record<string, unknown>> | string): void {
    writeConfig(this.directory, typeof config === 'string' ? config : withDefaults(config));
  }

  /** One request of the admin API; the answer is taken for what the caller says it is. */
  async admin<T>(path: string, init: RequestInit = {}): Promise<T> {
    const response = await this.adminResponse(path, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  adminResponse(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, ...(init.headers as Record<string, string>) };
    return fetch(`${this.adminUrl}${path}`, { ...init, headers });
  }

  async metrics(): Promise<Metrics> {
    return parseMetrics(await (await this.adminResponse('/metrics')).text());
  }

  /** All recorded requests, newest first. */
  async rows(): Promise<RequestRow[]> {
    const rows: RequestRow[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page: { requests: RequestRow[]; next_cursor: string | null } = await this.admin(
        `/admin/v1/usage/requests?limit=500${query}`,
      );
      rows.push(...page.requests);
      cursor = page.next_cursor;
    }
    return rows;
  }

  /** The recorded request with this id, once it is there. */
  row(id: string | null | undefined): Promise<RequestRow> {
    const find = async (): Promise<RequestRow | undefined> =>
      (await this.rows()).find((row) => row.id === id?.replaceAll('-', ''));
    return eventually(`the record of the request ${String(id)}`, find);
  }

  /** Tells it to stop, and waits until it has. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.process.child.kill(signal);
    return this.process.ended;
  }
}

function writeConfig(directory: string, config: Record<string, unknown> | string): void {
  // JSON is YAML.
  const text = typeof config === 'string' ? config : `${JSON.stringify(config, null, 2)}\n`;
  writeFileSync(join(directory, 'sluice.yaml'), text);
}

/** Reads the addresses off what the program prints when it serves. */
export function addressesOf(running: Running): Promise<[string, string]> {
  let ended: Ended | null = null;
  void running.ended.then((how) => (ended = how));
  return eventually(
    'the gateway to serve',
    (): [string, string] | false => {
      if (ended !== null) throw new Error(`it ended with ${JSON.stringify(ended)}\n${running.err()}`);
      if (!running.out().includes('Ctrl-C stops')) return false;
      const url = /(http:\/\/[\d.]+:\d+\/v1)$/m.exec(running.out())?.[1] ?? '';
      const adminUrl = /Admin +(http:\/\/[\d.]+:\d+)\//.exec(running.out())?.[1] ?? '';
      return [url, adminUrl];
    },
    () => running.out() + running.err(),
  );
}
