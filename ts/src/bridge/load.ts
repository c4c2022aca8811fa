/**
 * Finds and loads the addon. First the one a build put into this package, then the one npm installed for this platform;
 * see scripts/build.mjs, which writes the former. Nothing is downloaded and nothing is compiled here.
 */

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the addon exports; documents cross as JSON text. */
export interface Addon {
  version(): string;
  DataPlane: { start(options: string, snapshot: string): NativeDataPlane };
  Journal: { open(options: string): NativeJournal };
  DemoProvider: { start(options: string): NativeDemoProvider };
  windowStarts(meters: string, atMs: number): string;
  runLoad(options: string): Promise<string>;
}

/** A data plane as the addon gives it. */
export interface NativeDataPlane {
  addresses(): string[];
  applySnapshot(snapshot: string): void;
  stats(): string;
  meterLevels(ids?: number[]): string;
  activeCount(): number;
  setUnready(): void;
  drain(): void;
  stop(): void;
}

/** Records that a journal gives out together. */
export interface JournalBatch {
  /** Sequence of the last frame among them. */
  readonly sequence: number;
  readonly count: number;
  /** Bytes of each: other than ours in what another version has written. */
  readonly recordBytes: number;
  readonly records: Buffer;
}

/** What was found wrong in the files of an earlier run. */
export interface JournalDamage {
  /** Bytes of writes that were under way when the process or the machine died. */
  readonly cutBytes: number;
  /** Bytes that could not be read, with readable ones behind them. */
  readonly damagedBytes: number;
  /** Names of the files kept aside for it. */
  readonly kept: string[];
}

/** A journal as the addon gives it. */
export interface NativeJournal {
  start(plane: NativeDataPlane): void;
  next(max: number): JournalBatch | null;
  acknowledge(sequence: number): void;
  leftBehind(): string[];
  recover(bootId: string, after: number, max: number): JournalBatch | null;
  forget(bootId: string): JournalDamage;
  stats(): string;
  stop(): void;
  close(): void;
}

/** A demo provider as the addon gives it. */
export interface NativeDemoProvider {
  address(): string;
  certificatePem(): string | null;
  stop(): void;
}

const require = createRequire(import.meta.url);

let loaded: Addon | undefined;

/** The addon, loaded at the first call. Throws with what is missing and how to get it. */
export function addon(): Addon {
  loaded ??= load();
  return loaded;
}

function load(): Addon {
  const root = packageRoot();
  const found = requireAddon(root);
  const expected = packageVersion(root);
  if (found.version() !== expected) {
    throw new Error(
      `The addon is version ${found.version()}, this package is ${expected}. Run \`npm run build\`, or install again.`,
    );
  }
  return found;
}

function requireAddon(root: string): Addon {
  const platform = platformName();
  const built = join(root, 'dist', 'native', `sluice.${platform}.node`);
  if (existsSync(built)) return require(built) as Addon;
  const name = `@sluice/core-${platform}`;
  try {
    return require(name) as Addon;
  } catch (cause) {
    throw new Error(
      `Sluice has no addon for ${platform}: neither ${built} nor the package ${name} could be loaded. ` +
        'In a clone, run `npm run build`. From npm, install again without `--omit=optional`.',
      { cause },
    );
  }
}

/** `linux-x64-gnu`, `darwin-arm64` and so on, as the platform packages are named. */
export function platformName(): string {
  const base = `${process.platform}-${process.arch}`;
  if (process.platform !== 'linux') return base;
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return `${base}-${report.header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`;
}

function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const above = dirname(folder);
    if (above === folder)
      throw new Error('Sluice cannot find the package it belongs to: no package.json above it.');
    folder = above;
  }
  return folder;
}

function packageVersion(root: string): string {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}
