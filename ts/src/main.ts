/**
 * The composition root: everything that makes up a running gateway, put together in one place and taken apart in the
 * opposite order. Nothing here decides anything; it hands the parts to each other.
 */

import { randomBytes } from 'node:crypto';
import { type AdminApp, buildAdminApp, closeAdmin, listenAdmin } from './admin/index.js';
import {
  openJournal,
  SnapshotRefused,
  startDataPlane,
  startDemoProvider,
  windowStarts,
  type DataPlane,
  type DemoProvider,
  type Journal,
} from './bridge/index.js';
import type { Snapshot } from './bridge/generated/snapshot.js';
import { ConfigChangeLog } from './config/change-log.js';
import type { Config } from './config/config.js';
import { loadConfig, type LoadResult } from './config/load.js';
import { ConfigManager, ConfigRefused, type Refusal } from './config/manager.js';
import type { Surroundings } from './config/references.js';
import { formatAddress } from './config/scalars.js';
import { FileWatcher } from './config/watch.js';
import { CredentialKeeper, fetchCredential } from './credentials/index.js';
import { adminTokens, firstKey, type FirstKey, firstKeyEntry } from './governance/first-start.js';
import {
  ADMIN_URL_FACT,
  KEYS_CHANGED_FACT,
  KEYS_SERVED_FACT,
  type ConfigReport,
} from './governance/ports.js';
import { SecretKeeper } from './secrets/index.js';
import { activator } from './snapshot/activate.js';
import { startOptions } from './snapshot/compile.js';
import { configPathOf } from './snapshot/refusal.js';
import { journalOptions, openRecorder, startRetention } from './recording.js';
import { openStore, type Store } from './store/index.js';
import { createLogger, Metrics } from './telemetry/index.js';
import { type UsageRecorder, usedBefore } from './usage/index.js';

/** How often the store is asked whether another process has changed it: the time `sluice keys` takes to be noticed. */
const STORE_POLL_MS = 250;

/** How often a drain looks whether the last request has finished. */
const DRAIN_POLL_MS = 25;

/** What a gateway is started with. */
export interface GatewayOptions {
  /** Null for the built-in defaults. */
  readonly configFile: string | null;
  /** Variables, files and time at this moment. */
  readonly surroundings: () => Surroundings;
  /** Version of the program. */
  readonly version: string;
  /** Takes log lines, one JSON object each. */
  readonly log: { write(line: string): void };
}

/** Parts that tests replace. */
export interface NativeParts {
  readonly openJournal: typeof openJournal;
  readonly startDataPlane: typeof startDataPlane;
  readonly startDemoProvider: typeof startDemoProvider;
}

/** What came of a drain. */
export interface DrainResult {
  /** Requests that were still running at the deadline and were cut off. */
  readonly cutOff: number;
}

/** A running gateway. */
export interface Gateway {
  /** Bound addresses of the data listeners, in the order of the configuration. */
  readonly dataAddresses: readonly string[];
  /** `http://address:port` of the admin listener. */
  readonly adminUrl: string;
  /** The admin token, when this start made it; it is kept nowhere. */
  readonly generatedAdminToken: string | null;
  /** The secret of the first virtual key, when this start made it; it is kept nowhere. */
  readonly firstKeySecret: string | null;
  readonly config: Config;
  readonly warnings: ConfigReport['problems'];
  reload(): Promise<ConfigReport>;
  /** Lets running requests finish, up to the deadline, keeps their records, and ends everything. */
  drain(): Promise<DrainResult>;
}

/**
 * Starts a gateway. Throws {@link ConfigRefused} for a configuration that cannot be used; whatever had been started by
 * then has been stopped again.
 */
export async function startGateway(
  options: GatewayOptions,
  native: NativeParts = { openJournal, startDataPlane, startDemoProvider },
): Promise<Gateway> {
  const undo: (() => unknown)[] = [];
  try {
    return await assemble(options, native, undo);
  } catch (error) {
    for (const step of undo.toReversed()) await step();
    throw error;
  }
}

async function assemble(
  options: GatewayOptions,
  native: NativeParts,
  undo: (() => unknown)[],
): Promise<Gateway> {
  const loaded = loadConfig(options.configFile, options.surroundings());
  if (loaded.config === null) throw new ConfigRefused(loaded.problems);
  const { config } = loaded;
  const logger = createLogger(config.logLevel, options.log);

  const { journal, store, recorder } = await openStorage(config, native, undo, logger);
  const tokens = await adminTokens(store, config.admin.token, randomBytes);
  const first = await firstKeyOf(config, store);
  if (first !== null) {
    undo.push(() => store.discardKey(first.id));
  }

  let serving = (): Config => config;
  const secrets = secretKeeper(store, () => serving(), logger);
  const plane = new PlaneOwner(native);
  undo.push(() => plane.stop());
  const credentials = credentialKeeper(logger);
  undo.push(() => credentials.stop());
  const foundations = { plane, store, recorder, credentials, secrets, logger };
  const manager = await startManager(options, loaded, foundations);
  serving = () => manager.config;
  credentials.listen(() => void renewed(manager, logger));
  const dataPlane = plane.running();
  journal.start(dataPlane);
  recorder.start();
  undo.push(() => stopRecording(plane, journal, recorder));
  const retention = startRetention(config, store, logger);
  undo.push(() => retention?.stop());
  const parts = { version: options.version, logger, store, manager, dataPlane, recorder, secrets };
  const app = await buildAdmin(parts, tokens.digests);
  undo.push(() => closeAdmin(app));
  const adminUrl = await listenAdmin(app, formatAddress(config.admin.address), tokens.digests);
  await tokens.keep();
  if (first !== null) await store.audit.append(firstKeyEntry(first, Date.now()));
  await store.setFact(ADMIN_URL_FACT, adminUrl);
  const stopWatching = watchForChanges(manager, store, logger);

  return {
    dataAddresses: dataPlane.addresses(),
    adminUrl,
    generatedAdminToken: tokens.generated,
    firstKeySecret: first?.secret ?? null,
    config,
    warnings: loaded.problems,
    reload: () => manager.reload(),
    drain: async () => {
      stopWatching();
      credentials.stop();
      await retention?.stop();
      const result = await drainPlane(dataPlane, manager.config);
      await closeAdmin(app);
      await stopRecording(plane, journal, recorder);
      await store.close();
      journal.close();
      return result;
    },
  };
}

type Logger = ReturnType<typeof createLogger>;

/** What outlives the process. What earlier runs left is in the store before anything is counted on top of it. */
async function openStorage(
  config: Config,
  native: NativeParts,
  undo: (() => unknown)[],
  logger: Logger,
): Promise<{ journal: Journal; store: Store; recorder: UsageRecorder }> {
  const options = journalOptions(config);
  const journal = native.openJournal(options);
  undo.push(() => journal.close());
  const store = await openStore(config.dataDir, config.postgres);
  undo.push(() => store.close());
  const recorder = await openRecorder(config, { store, journal, bootId: options.boot_id, logger });
  return { journal, store, recorder };
}

/** From where records come to where they end: each step takes what the one before still had. */
async function stopRecording(plane: PlaneOwner, journal: Journal, recorder: UsageRecorder): Promise<void> {
  plane.stop();
  journal.stop();
  await recorder.stop();
}

/** Owns the native parts: the data plane, and the demo provider that is started when it is first needed. */
class PlaneOwner {
  private plane: DataPlane | null = null;
  private demo: DemoProvider | null = null;

  constructor(private readonly native: NativeParts) {}

  /** Starts the data plane with the first snapshot, and hands it every later one. */
  apply(snapshot: Snapshot, config: Config): Refusal | null {
    try {
      if (this.plane === null) this.plane = this.native.startDataPlane(startOptions(config), snapshot);
      else this.plane.applySnapshot(JSON.stringify(snapshot));
      return null;
    } catch (error) {
      if (!(error instanceof SnapshotRefused)) throw error;
      const path = configPathOf(error.path, config);
      const inside = path.length === 0 && error.path !== '' ? `${error.path}: ` : '';
      return { path, code: error.code, message: `${inside}${error.message}` };
    }
  }

  demoBaseUrl(): string {
    this.demo ??= this.native.startDemoProvider({ address: '127.0.0.1:0' });
    return `http://${this.demo.address}/v1`;
  }

  running(): DataPlane {
    if (this.plane === null) throw new TypeError('the data plane runs once the first snapshot is applied');
    return this.plane;
  }

  /** Joins the threads of both. */
  stop(): void {
    this.plane?.stop();
    this.demo?.stop();
  }
}

/** Nobody needs one where the file declares keys, or where no key is asked for. */
function firstKeyOf(config: Config, store: Store): Promise<FirstKey | null> {
  const needed = config.keys.length === 0 && config.settings.requireKey;
  return needed ? firstKey(store, randomBytes, Date.now()) : Promise.resolve(null);
}

interface Foundations {
  readonly plane: PlaneOwner;
  readonly store: Store;
  readonly recorder: UsageRecorder;
  readonly credentials: CredentialKeeper;
  readonly secrets: SecretKeeper;
  readonly logger: Logger;
}

function secretKeeper(store: Store, source: () => Config, logger: Logger): SecretKeeper {
  return new SecretKeeper({
    store: store.providerKeys,
    source,
    random: randomBytes,
    onNewFile: (path) =>
      logger.warn(
        { event: 'master_key', path },
        'a master key was made; back it up apart from the database: without it, stored provider keys are lost',
      ),
  });
}

function credentialKeeper(logger: Logger): CredentialKeeper {
  return new CredentialKeeper({
    fetch: fetchCredential,
    now: Date.now,
    random: Math.random,
    schedule: (ms, work) => {
      const timer = setTimeout(work, ms).unref();
      return () => clearTimeout(timer);
    },
    onError: ({ kind }, error, validUntil) => {
      const reason = error instanceof Error ? error.message : String(error);
      const expired = validUntil === null || validUntil <= Date.now();
      const rest = expired ? 'its providers cannot be used' : 'the one before stays in use';
      const facts = { event: 'credential', kind, reason, valid_until: validUntil };
      logger[expired ? 'error' : 'warn'](
        facts,
        `a credential could not be fetched; ${rest}; it will be tried again`,
      );
    },
  });
}

/** A renewed credential goes into a new snapshot; only trouble is worth a line. */
async function renewed(manager: ConfigManager, logger: Logger): Promise<void> {
  const report = await manager.keysChanged();
  if (report.ok)
    logger.debug({ event: 'credential', version: report.version }, 'a renewed credential is in use');
  else logReport(logger, report);
}

/** Activates the first configuration, which starts the data plane. */
function startManager(
  options: GatewayOptions,
  loaded: LoadResult,
  parts: Foundations,
): Promise<ConfigManager> {
  const { plane, store, recorder, credentials, secrets, logger } = parts;
  const activate = activator({
    store,
    credentials,
    storedKeys: (config) => secrets.openAll(config),
    apply: (snapshot, config) => plane.apply(snapshot, config),
    demoBaseUrl: () => plane.demoBaseUrl(),
    usedBefore: async (covered) => {
      if (covered.length === 0) return new Map();
      await recorder.catchUp();
      return usedBefore(store.usage, covered, windowStarts, Date.now());
    },
    now: Date.now,
    onMirrorError: (err) => logger.error({ err }, 'keys of the configuration could not be stored'),
  });
  const onReload = (report: ConfigReport): void => logReport(logger, report);
  const { configFile: file, surroundings } = options;
  const changes = new ConfigChangeLog(store, file, Date.now);
  const onApplied = (config: Config): Promise<void> =>
    changes
      .applied(config)
      .catch((err: unknown) => logger.error({ err }, 'the audit log could not be written'));
  return ConfigManager.start({ file, surroundings, activate, onApplied, onReload }, loaded);
}

interface AdminParts {
  readonly version: string;
  readonly logger: Logger;
  readonly store: Store;
  readonly manager: ConfigManager;
  readonly dataPlane: DataPlane;
  readonly recorder: UsageRecorder;
  readonly secrets: SecretKeeper;
}

function buildAdmin(parts: AdminParts, tokenDigests: readonly string[]): Promise<AdminApp> {
  const { version, logger, store, manager, dataPlane, recorder, secrets } = parts;
  const { address, allowedHosts, metricsAccess } = manager.config.admin;
  const stats = () => dataPlane.stats();
  const counters = () => recorder.counters();
  const metrics = new Metrics({ stats, recorder: counters, labels: () => store.listLabels(), version });
  return buildAdminApp(
    {
      store,
      usage: { ledger: store.usage, flush: () => recorder.flush(), counters },
      config: manager,
      secrets,
      dataPlane,
      metrics,
      version,
      startedAt: Date.now(),
      now: Date.now,
      random: randomBytes,
    },
    {
      tokenDigests,
      boundHost: address.host,
      allowedHosts,
      metricsAccess,
      failuresPerMinute: manager.config.settings.maxAuthFailuresPerMinute,
    },
    logger,
  );
}

/** Reloads when a file changes, and takes over keys that another process has put into the store. */
function watchForChanges(manager: ConfigManager, store: Store, logger: Logger): () => void {
  const watcher = manager.config.reloadOnChange
    ? new FileWatcher({ files: () => manager.files, onChange: () => manager.reload() })
    : null;
  const stopPolling = pollStore(manager, store, logger);
  return () => {
    watcher?.stop();
    stopPolling();
  };
}

function pollStore(manager: ConfigManager, store: Store, logger: Logger): () => void {
  let known: number | null = null;
  let isAway = false;
  let timer: NodeJS.Timeout | null = null;
  const look = async (): Promise<void> => {
    try {
      const counter = await store.changeCounter();
      if (known !== null && counter !== known) await takeOverKeys(manager, store, logger);
      known = counter;
      if (isAway) logger.info({ event: 'store' }, 'the store can be asked for changes again');
      isAway = false;
    } catch (error) {
      if (!isAway)
        logger.error({ err: error }, 'the store cannot be asked for changes; it will be tried again');
      isAway = true;
    }
    if (timer !== null) timer = schedule();
  };
  const schedule = (): NodeJS.Timeout => setTimeout(() => void look(), STORE_POLL_MS).unref();
  timer = schedule();
  return () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
}

/** Serves the keys as they are now stored, and says so to whoever has changed them. */
async function takeOverKeys(manager: ConfigManager, store: Store, logger: Logger): Promise<void> {
  const changedAt = await store.fact(KEYS_CHANGED_FACT);
  const report = await manager.keysChanged();
  logReport(logger, report);
  if (report.ok && changedAt !== null) await store.setFact(KEYS_SERVED_FACT, changedAt);
}

/** Readiness goes first, then the listeners, then the requests that still run, up to the deadline. */
async function drainPlane(plane: DataPlane, { drainLagMs, drainTimeoutMs }: Config): Promise<DrainResult> {
  plane.setUnready();
  await delay(drainLagMs);
  plane.drain();
  const deadline = performance.now() + drainTimeoutMs;
  while (plane.activeCount() > 0 && performance.now() < deadline) await delay(DRAIN_POLL_MS);
  return { cutOff: plane.activeCount() };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function logReport(logger: Logger, report: ConfigReport): void {
  for (const { severity, file, line, path, message } of report.problems) {
    logger[severity === 'error' ? 'error' : 'warn']({ event: 'config_problem', file, line, path }, message);
  }
  const { ok, version } = report;
  const outcome = ok ? 'configuration applied' : 'configuration refused; the one before goes on serving';
  logger[ok ? 'info' : 'error']({ event: 'config', version }, outcome);
}
