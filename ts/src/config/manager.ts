/**
 * The configuration that is being served, and its replacement. A reload is all or nothing: read, check, activate; what
 * fails at any step leaves everything as it was and is remembered for the status. Reloads run one after the other.
 */

import type {
  ConfigControl,
  ConfigProblem,
  ConfigReport,
  ConfigStatus,
  MeterView,
  ModelView,
  ProviderView,
} from '../governance/ports.js';
import type { Config } from './config.js';
import { loadConfig, parseConfig, type LoadResult } from './load.js';
import type { Surroundings } from './references.js';
import { formatPath, type DocumentPath } from './wording.js';

/** What is told of a configuration that is in use. */
interface Views {
  readonly providers: readonly ProviderView[];
  readonly models: readonly ModelView[];
  readonly meters: readonly MeterView[];
}

/** What became of a configuration that was to be activated. */
export type Activation =
  ({ readonly ok: true } & Views) | { readonly ok: false; readonly problems: readonly Refusal[] };

/** Why a configuration could not be activated. */
export interface Refusal {
  /** Where in the file; empty when it cannot be said. */
  readonly path: DocumentPath;
  readonly code: string;
  readonly message: string;
}

/** Puts a configuration to use under a version, together with the keys as they are now stored. */
export type Activate = (config: Config, version: number) => Promise<Activation>;

/** What the manager needs. */
export interface ManagerOptions {
  /** Null for the built-in defaults. */
  readonly file: string | null;
  /** The surroundings of this moment. */
  readonly surroundings: () => Surroundings;
  readonly activate: Activate;
  /** Told of a configuration that was read from the file and has come into use, before anybody is answered. */
  readonly onApplied?: (config: Config) => Promise<void>;
  /** Told of every reload. */
  readonly onReload?: (report: ConfigReport) => void;
}

interface Active extends Views {
  readonly config: Config;
  readonly version: number;
  readonly loadedAt: number;
  readonly warnings: readonly ConfigProblem[];
}

/** A configuration could not be used. */
export class ConfigRefused extends Error {
  constructor(readonly problems: readonly ConfigProblem[]) {
    super('the configuration was refused');
    this.name = 'ConfigRefused';
  }
}

/** Holds the active configuration and replaces it. */
export class ConfigManager implements ConfigControl {
  private queue: Promise<unknown> = Promise.resolve();
  private lastError: ConfigStatus['lastError'] = null;
  private readFiles: readonly string[];

  private constructor(
    private readonly options: ManagerOptions,
    /** What the process was started with: some of it cannot change later. */
    private readonly started: Config,
    private active: Active,
    files: readonly string[],
  ) {
    this.readFiles = files;
  }

  /** Activates a loaded configuration as the first version. Throws {@link ConfigRefused}. */
  static async start(options: ManagerOptions, loaded: LoadResult): Promise<ConfigManager> {
    const { config, problems } = loaded;
    if (config === null) throw new ConfigRefused(problems);
    const activation = await options.activate(config, 1);
    if (!activation.ok) {
      throw new ConfigRefused(activation.problems.map((refusal) => asProblem(refusal, loaded, options.file)));
    }
    await options.onApplied?.(config);
    const { providers, models, meters } = activation;
    const loadedAt = options.surroundings().now;
    const active = { config, version: 1, loadedAt, warnings: problems, providers, models, meters };
    return new ConfigManager(options, config, active, loaded.files);
  }

  get config(): Config {
    return this.active.config;
  }

  /** Files whose change is a change of the configuration, absolute. */
  get files(): readonly string[] {
    return this.readFiles;
  }

  status(): ConfigStatus {
    const { version, loadedAt, warnings } = this.active;
    return { version, loadedAt, sourceFile: this.options.file, lastError: this.lastError, warnings };
  }

  providers(): readonly ProviderView[] {
    return this.active.providers;
  }

  models(): readonly ModelView[] {
    return this.active.models;
  }

  meters(): readonly MeterView[] {
    return this.active.meters;
  }

  async reload(): Promise<ConfigReport> {
    const report = await this.inTurn(() => this.reloadNow());
    this.options.onReload?.(report);
    return report;
  }

  validate(text: string): Promise<ConfigReport> {
    const { config, problems } = parseConfig(text, this.options.file, this.options.surroundings());
    return Promise.resolve({ ok: config !== null, version: this.active.version, problems });
  }

  keysChanged(): Promise<ConfigReport> {
    return this.inTurn(async () => {
      const activation = await this.tryActivate(this.active.config);
      if (activation.ok) {
        const { meters } = activation;
        this.active = { ...this.active, version: this.active.version + 1, meters };
        return this.report(true, []);
      }
      return this.report(
        false,
        activation.problems.map((refusal) => asProblem(refusal, null, this.options.file)),
      );
    });
  }

  private async reloadNow(): Promise<ConfigReport> {
    const surroundings = this.options.surroundings();
    const loaded = loadConfig(this.options.file, surroundings);
    this.readFiles = loaded.files;
    if (loaded.config === null) return this.refused(loaded.problems, surroundings.now);
    const version = this.active.version + 1;
    const activation = await this.tryActivate(loaded.config);
    if (!activation.ok) {
      const problems = activation.problems.map((refusal) => asProblem(refusal, loaded, this.options.file));
      return this.refused([...loaded.problems, ...problems], surroundings.now);
    }
    const warnings = [...loaded.problems, ...this.restartWarnings(loaded.config, loaded)];
    const { providers, models, meters } = activation;
    const { config } = loaded;
    this.active = { config, version, loadedAt: surroundings.now, warnings, providers, models, meters };
    this.lastError = null;
    await this.options.onApplied?.(loaded.config);
    return this.report(true, warnings);
  }

  /** While serving, even an unexpected failure (the database is away) is a refusal, and never ends the process. */
  private async tryActivate(config: Config): Promise<Activation> {
    try {
      return await this.options.activate(config, this.active.version + 1);
    } catch (error) {
      const message = `could not be applied: ${error instanceof Error ? error.message : String(error)}`;
      return { ok: false, problems: [{ path: [], code: 'activation_failed', message }] };
    }
  }

  private refused(problems: readonly ConfigProblem[], at: number): ConfigReport {
    this.lastError = { at, problems };
    return this.report(false, problems);
  }

  private report(ok: boolean, problems: readonly ConfigProblem[]): ConfigReport {
    return { ok, version: this.active.version, problems };
  }

  private restartWarnings(next: Config, loaded: LoadResult): ConfigProblem[] {
    return FIXED.filter(({ of }) => JSON.stringify(of(next)) !== JSON.stringify(of(this.started))).map(
      ({ path }) =>
        asProblem(
          { path, code: 'needs_restart', message: NEEDS_RESTART },
          loaded,
          this.options.file,
          'warning',
        ),
    );
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.queue.then(work);
    this.queue = result.catch(() => undefined);
    return result;
  }
}

const NEEDS_RESTART = 'found a change that takes effect at the next start; everything else has been applied';

/** What a running process cannot change. */
const FIXED: readonly { readonly path: DocumentPath; readonly of: (config: Config) => unknown }[] = [
  { path: ['listeners', 'data'], of: ({ start }) => start.listeners },
  { path: ['listeners', 'admin'], of: ({ admin }) => admin },
  { path: ['workers'], of: ({ start }) => start.workers },
  { path: ['limits', 'connections'], of: ({ start }) => start.maxConnections },
  { path: ['data_dir'], of: ({ dataDir }) => dataDir },
  { path: ['store'], of: ({ postgres }) => postgres },
  { path: ['settings', 'log_level'], of: ({ logLevel }) => logLevel },
  { path: ['settings', 'usage_detail_days'], of: ({ usageDetailDays }) => usageDetailDays },
  { path: ['settings', 'usage_report_days'], of: ({ usageReportDays }) => usageReportDays },
  { path: ['settings', 'usage_sync'], of: ({ usageSync }) => usageSync },
];

function asProblem(
  refusal: Refusal,
  loaded: LoadResult | null,
  file: string | null,
  severity: ConfigProblem['severity'] = 'error',
): ConfigProblem {
  const { path, code, message } = refusal;
  const position = path.length === 0 ? null : (loaded?.position(path) ?? null);
  const line = position?.line ?? null;
  const column = position?.column ?? null;
  return { file, line, column, path: formatPath(path), severity, code, message };
}
