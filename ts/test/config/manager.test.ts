import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.js';
import { loadConfig } from '../../src/config/load.js';
import { ConfigManager, ConfigRefused, type Activation } from '../../src/config/manager.js';
import type { Surroundings } from '../../src/config/references.js';
import type { ConfigReport } from '../../src/governance/ports.js';
import { surroundings } from './surroundings.js';

const FILE = '/c/sluice.yaml';

/** A manager over a file in memory and a data plane that can be told to refuse. */
class Harness {
  files: Record<string, string> = { [FILE]: 'models: { a: demo }' };
  readonly applied: [number, string[]][] = [];
  readonly reports: ConfigReport[] = [];
  refusal: Activation | null = null;
  running = 0;
  mostRunning = 0;
  now = 100;

  readonly surroundings = (): Surroundings => ({ ...surroundings({}, this.files), now: this.now });

  readonly activate = async (config: Config, version: number): Promise<Activation> => {
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    await new Promise(setImmediate);
    this.running -= 1;
    if (this.refusal !== null) return this.refusal;
    this.applied.push([version, config.models.map(({ name }) => name)]);
    return {
      ok: true,
      meters: [],
      providers: [],
      models: config.models.map(({ name }) => ({ id: 1, name, aliases: [], info: null, targets: [] })),
    };
  };

  start(): Promise<ConfigManager> {
    const onReload = (report: ConfigReport): void => void this.reports.push(report);
    const { surroundings: around, activate } = this;
    return ConfigManager.start(
      { file: FILE, surroundings: around, activate, onReload },
      loadConfig(FILE, around()),
    );
  }
}

const REFUSED: Activation = {
  ok: false,
  problems: [{ path: ['models', 'a'], code: 'too_many', message: 'found too many' }],
};

describe('start', () => {
  it('serves version 1', async () => {
    const harness = new Harness();
    const manager = await harness.start();
    expect(harness.applied).toEqual([[1, ['a']]]);
    expect(manager.status()).toEqual({
      version: 1,
      loadedAt: 100,
      sourceFile: FILE,
      lastError: null,
      warnings: [],
    });
    expect(manager.models().map(({ name }) => name)).toEqual(['a']);
  });

  it('is refused with every problem of the file', async () => {
    const harness = new Harness();
    harness.files = { [FILE]: 'modles: {}\nworkers: x' };
    const error = await harness.start().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigRefused);
    expect((error as ConfigRefused).problems.map(({ code }) => code)).toEqual(['unknown_key', 'wrong_type']);
    expect(harness.applied).toEqual([]);
  });

  it('is refused by the data plane with the place in the file', async () => {
    const harness = new Harness();
    harness.refusal = REFUSED;
    await expect(harness.start()).rejects.toMatchObject({
      problems: [{ file: FILE, line: 1, column: 14, path: 'models.a', severity: 'error', code: 'too_many' }],
    });
  });
});

describe('reload', () => {
  it('applies a new file under the next version', async () => {
    const harness = new Harness();
    const manager = await harness.start();
    harness.files[FILE] = 'models: { b: demo }';
    harness.now = 200;
    expect(await manager.reload()).toEqual({ ok: true, version: 2, problems: [] });
    expect(harness.applied.at(-1)).toEqual([2, ['b']]);
    expect(manager.status()).toMatchObject({ version: 2, loadedAt: 200 });
    expect(manager.config.models[0]?.name).toBe('b');
    expect(harness.reports).toHaveLength(1);
  });

  it.each<[string, (harness: Harness) => void, string]>([
    ['a wrong file', ({ files }) => (files[FILE] = 'models: { a: nowhere }'), 'unknown_provider'],
    ['an unreadable file', ({ files }) => delete files[FILE], 'unreadable_file'],
    ['a refusing data plane', (harness) => (harness.refusal = REFUSED), 'too_many'],
  ])('changes nothing with %s, and remembers why', async (_title, breakIt, code) => {
    const harness = new Harness();
    const manager = await harness.start();
    const before = manager.config;
    breakIt(harness);
    harness.now = 300;
    expect(await manager.reload()).toMatchObject({ ok: false, version: 1, problems: [{ code }] });
    expect(manager.config).toBe(before);
    expect(manager.status()).toMatchObject({
      version: 1,
      loadedAt: 100,
      lastError: { at: 300, problems: [{ code }] },
    });

    harness.files[FILE] = 'models: { c: demo }';
    harness.refusal = null;
    expect(await manager.reload()).toMatchObject({ ok: true, version: 2 });
    expect(manager.status().lastError).toBeNull();
  });

  it('goes on after an activation that throws', async () => {
    const harness = new Harness();
    const manager = await harness.start();
    const activate = harness.applied.push.bind(harness.applied);
    harness.applied.push = () => {
      throw new Error('broken');
    };
    const problem = { code: 'activation_failed', message: 'could not be applied: broken' };
    expect(await manager.reload()).toMatchObject({ ok: false, version: 1, problems: [problem] });
    expect(await manager.keysChanged()).toMatchObject({ ok: false, version: 1, problems: [problem] });
    harness.applied.push = activate;
    expect(await manager.reload()).toMatchObject({ ok: true, version: 2 });
  });

  it('runs one after the other, each with a version of its own', async () => {
    const harness = new Harness();
    const manager = await harness.start();
    const reports = await Promise.all([manager.reload(), manager.keysChanged(), manager.reload()]);
    expect(reports.map(({ version }) => version)).toEqual([2, 3, 4]);
    expect(harness.mostRunning).toBe(1);
  });

  it.each([
    ['listeners: { data: { address: ":9" } }', 'listeners.data'],
    ['listeners: { admin: { address: "127.0.0.1:9" } }', 'listeners.admin'],
    ['workers: 3', 'workers'],
    ['limits: { connections: 3 }', 'limits.connections'],
    ['data_dir: /elsewhere', 'data_dir'],
    ['settings: { log_level: debug }', 'settings.log_level'],
    ['settings: { usage_detail_days: 3 }', 'settings.usage_detail_days'],
    ['settings: { usage_sync: never }', 'settings.usage_sync'],
  ])('applies %s and says that it takes a restart', async (text, path) => {
    const harness = new Harness();
    const manager = await harness.start();
    harness.files[FILE] = `${text}\nmodels: { b: demo }`;
    expect(await manager.reload()).toMatchObject({
      ok: true,
      problems: [{ severity: 'warning', code: 'needs_restart', path, line: 1 }],
    });
    expect(manager.models().map(({ name }) => name)).toEqual(['b']);
    expect(manager.status().warnings).toHaveLength(1);

    harness.files[FILE] = 'models: { b: demo }';
    expect((await manager.reload()).problems).toEqual([]);
  });

  it('watches the files of the latest reading', async () => {
    const harness = new Harness();
    const manager = await harness.start();
    expect(manager.files).toEqual([FILE]);
    harness.files[FILE] = 'providers: { openai: { key: "file:key" } }\nmodels: { a: openai/x }';
    await manager.reload();
    expect(manager.files).toEqual([FILE, '/c/key']);
  });
});

describe('validate', () => {
  it('says what is wrong and changes nothing', async () => {
    const harness = new Harness();
    const manager = await harness.start();
    expect(await manager.validate('workers: x')).toMatchObject({
      ok: false,
      version: 1,
      problems: [{ path: 'workers' }],
    });
    expect(await manager.validate('workers: 1')).toEqual({ ok: true, version: 1, problems: [] });
    expect(harness.applied).toHaveLength(1);
    expect(manager.status().lastError).toBeNull();
  });
});

describe('keysChanged', () => {
  it('applies the same configuration again under the next version', async () => {
    const harness = new Harness();
    const manager = await harness.start();
    harness.files[FILE] = 'models: { b: demo }';
    expect(await manager.keysChanged()).toEqual({ ok: true, version: 2, problems: [] });
    expect(harness.applied.at(-1)).toEqual([2, ['a']]);
    expect(manager.status()).toMatchObject({ version: 2, loadedAt: 100 });
  });

  it('reports a refusal and keeps the version', async () => {
    const harness = new Harness();
    const manager = await harness.start();
    harness.refusal = REFUSED;
    expect(await manager.keysChanged()).toMatchObject({
      ok: false,
      version: 1,
      problems: [{ code: 'too_many' }],
    });
    expect(manager.status()).toMatchObject({ version: 1, lastError: null });
  });
});
