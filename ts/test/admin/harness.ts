/** An admin app over a real store, with a scripted configuration and data plane. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { pino } from 'pino';
import { expect } from 'vitest';
import {
  type AdminApp,
  type AdminDependencies,
  type AdminOptions,
  buildAdminApp,
} from '../../src/admin/index.js';
import type {
  ConfigControl,
  ConfigProblem,
  ConfigReport,
  ConfigStatus,
  MeterView,
} from '../../src/governance/ports.js';
import { SecretKeeper } from '../../src/secrets/index.js';
import { openStore, type Store } from '../../src/store/index.js';
import type { MeterLevel } from '../../src/bridge/generated/snapshot.js';
import { emptyStats } from '../telemetry/stats.js';
import { journalStats } from '../usage/records.js';

export const TOKEN = 'sluice-admin-of-the-tests';
export const NOW = Date.parse('2026-03-01T12:00:00.000Z');

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A configuration that accepts everything until told otherwise. */
export class FakeConfig implements ConfigControl {
  version = 7;
  applied = 0;
  refusal: readonly ConfigProblem[] | Error | null = null;
  lastError: ConfigStatus['lastError'] = null;
  validated: string[] = [];
  declaredMeters: MeterView[] = [];
  mostAtOnce = 0;
  private atOnce = 0;

  status(): ConfigStatus {
    const { version, lastError } = this;
    return { version, loadedAt: NOW - 1_000, sourceFile: 'sluice.yaml', lastError, warnings: [] };
  }

  async reload(): Promise<ConfigReport> {
    return this.report();
  }

  async validate(text: string): Promise<ConfigReport> {
    this.validated.push(text);
    return text.includes('bad') ? { ok: false, version: this.version, problems: [PROBLEM] } : this.report();
  }

  /** Gives way before it answers, so that a second change could slip in between. */
  async keysChanged(): Promise<ConfigReport> {
    this.applied += 1;
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    await new Promise(setImmediate);
    this.atOnce -= 1;
    return this.report();
  }

  providers() {
    const keys = [{ id: 12, weight: 1, hint: 'wxyz' }];
    return [
      {
        id: 11,
        name: 'openai',
        dialect: 'openai',
        baseUrl: 'https://api.openai.com/v1',
        auth: 'bearer',
        keys,
      },
    ];
  }

  models() {
    const target = { id: 14, provider: 'openai', upstreamModel: null, weight: 1, tier: 0 };
    const info = {
      mode: 'chat',
      contextWindow: 400_000,
      maxOutputTokens: null,
      ownedBy: 'openai',
      inputModalities: ['text', 'image'],
      outputModalities: ['text'],
      capabilities: ['tools'],
    };
    return [
      { id: 13, name: 'gpt-*', aliases: ['fast'], info: null, targets: [target] },
      { id: 15, name: 'gpt-5', aliases: [], info, targets: [] },
    ];
  }

  meters(): readonly MeterView[] {
    return this.declaredMeters;
  }

  private async report(): Promise<ConfigReport> {
    if (this.refusal instanceof Error) throw this.refusal;
    if (this.refusal) return { ok: false, version: this.version, problems: this.refusal };
    this.version += 1;
    return { ok: true, version: this.version, problems: [] };
  }
}

export const PROBLEM: ConfigProblem = {
  file: 'sluice.yaml',
  line: 12,
  column: 3,
  path: 'models.fast.targets[0].provider',
  severity: 'error',
  code: 'unknown_provider',
  message: 'found "opnai", expected one of "openai"',
};

/** The app and everything around it. */
export interface Harness {
  readonly app: AdminApp;
  store: Store;
  config: FakeConfig;
  secrets: SecretKeeper;
  /** Directory of the store. */
  dataDir: string;
  readonly stats: ReturnType<typeof emptyStats>;
  readonly log: string[];
  /** What the data plane has counted. */
  levels: MeterLevel[];
  now: number;
  flushes: number;
  /** A request with the token, and JSON in and out. */
  call(
    method: InjectOptions['method'],
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<LightMyRequestResponse>;
  /** An empty store and a fresh configuration behind the same app, which is slow to build. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** Stands for whatever `current` returns at the time of each call. */
function standIn<T extends object>(current: () => T): T {
  const get = (_: T, name: string | symbol): unknown => {
    const target = current();
    const value: unknown = Reflect.get(target, name);
    return typeof value === 'function' ? (value.bind(target) as unknown) : value;
  };
  return new Proxy({} as T, { get });
}

/** Whatever a route answers must stand in the OpenAPI document. */
function expectDocumented(app: AdminApp, method: string, url: string, status: number): void {
  const { paths } = app.swagger() as unknown as {
    paths: Record<string, Record<string, { responses: object }>>;
  };
  const path = url.replace(/\?.*/, '');
  const known =
    path in paths
      ? path
      : Object.keys(paths).find((one) => new RegExp(`^${one.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path));
  const operation = paths[known ?? '']?.[method.toLowerCase()];
  if (operation) expect(Object.keys(operation.responses), `${method} ${url}`).toContain(String(status));
}

export async function harness(options: Partial<AdminOptions> = {}): Promise<Harness> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-admin-'));
  const fresh = async (): Promise<Pick<Harness, 'store' | 'secrets' | 'dataDir'>> => {
    const dataDir = mkdtempSync(join(dir, 'data-'));
    const store = await openStore(dataDir);
    const source = () => ({ dataDir, secrets: { masterKey: null, previous: [] } });
    const secrets = new SecretKeeper({
      store: store.providerKeys,
      source,
      random: randomBytes,
      onNewFile: () => {},
    });
    return { store, secrets, dataDir };
  };
  const stats = emptyStats();
  const log: string[] = [];
  let serial = 0;
  const deps: AdminDependencies = {
    store: standIn(() => self.store),
    usage: {
      ledger: standIn(() => self.store.usage),
      flush: async () => {
        self.flushes += 1;
      },
      counters: () => ({
        records: 5,
        detailDropped: 1,
        unattributed: 0,
        writeFailures: 2,
        pendingBytes: 96,
        costs: [],
        recovered: 0,
        journal: journalStats(),
      }),
    },
    config: standIn(() => self.config),
    secrets: standIn(() => self.secrets),
    dataPlane: {
      stats: () => stats,
      meterLevels: (ids) => self.levels.filter(({ id }) => ids.includes(id)),
    },
    metrics: { contentType: 'text/plain; version=0.0.4', render: async () => '# metrics\n' },
    version: '0.0.0-test',
    startedAt: NOW - 90_500,
    now: () => self.now,
    random: (count) => Buffer.alloc(count, (serial += 1)),
  };
  const defaults: AdminOptions = {
    tokenDigests: [sha256('another-token'), sha256(TOKEN)],
    boundHost: '127.0.0.1',
    allowedHosts: [],
    metricsAccess: 'token',
    failuresPerMinute: 0,
  };
  const logger = pino({ level: 'debug' }, { write: (line: string) => void log.push(line) });
  const app = await buildAdminApp(deps, { ...defaults, ...options }, logger);
  const self: Harness = {
    app,
    ...(await fresh()),
    config: new FakeConfig(),
    stats,
    log,
    levels: [],
    now: NOW,
    flushes: 0,
    call: async (method = 'GET', url, body, headers = {}) => {
      const answer = await app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${TOKEN}`, ...headers },
        ...(body !== undefined && { payload: body as object }),
      });
      expectDocumented(app, method, url, answer.statusCode);
      return answer;
    },
    reset: async () => {
      await self.store.close();
      Object.assign(self, await fresh());
      self.config = new FakeConfig();
      self.now = NOW;
      self.flushes = 0;
      self.levels = [];
      log.length = 0;
    },
    close: async () => {
      await app.close();
      await self.store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return self;
}
