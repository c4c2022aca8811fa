#!/usr/bin/env node
// Builds Sluice: the addon from Rust, then the TypeScript. What is up to date is left alone.
//
//   node scripts/build.mjs [--profile release|quick|dev] [--target TRIPLE] [--addon-only|--typescript-only]
//
// Where the addon goes, and where it is loaded from (ts/src/bridge follows this):
//
// 1. `dist/native/sluice.<platform>.node` under the package's root, which is the nearest folder above the loading
//    module that holds a package.json. This is what this script writes; the profile last built is the one there.
// 2. else the package `@sluice/core-<platform>`, which has the addon as its `main`. It is how an installation from npm
//    gets it: an optional dependency of exactly the same version, one per platform.
//
// `<platform>` is `<process.platform>-<process.arch>`, on Linux followed by `-gnu` or `-musl`: linux-x64-gnu,
// linux-arm64-musl, darwin-arm64. Where neither exists, loading fails with a message that names the platform and says
// to run `npm run build` in a clone, or to install again with optional dependencies. The `version()` that the addon
// reports must equal the version in package.json, or loading fails as well: a stale addon is worse than none.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installPackages, requireNode } from './lib/install.mjs';
import { platformName, platformOf } from './lib/platform.mjs';
import { StepError, isMain, mustRun, run, runMain, step } from './lib/steps.mjs';
import { ROOT, fingerprint, listFiles, readIfPresent, writeWithFolders } from './lib/tree.mjs';

const NATIVE = join(ROOT, 'dist', 'native');
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target');
const RUST_SOURCES = ['Cargo.toml', 'Cargo.lock', 'crates'];
const TYPESCRIPT_SOURCES = ['package.json', 'package-lock.json', 'tsconfig.json', 'ts/src'];
/** Oldest glibc that a released addon loads on. */
const GLIBC_FLOOR = '2.17';
const TSC = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');

/** Fails with advice where the addon cannot be built: no Rust, one that is too old, or no C compiler and linker. */
async function requireToolchain() {
  const wanted = /rust-version = "(\d+)\.(\d+)"/
    .exec(readFileSync(join(ROOT, 'Cargo.toml'), 'utf8'))
    .slice(1);
  const advice = `Sluice's data plane is built from source and needs Rust ${wanted.join('.')} or newer: https://rustup.rs`;
  const rust = await run('cargo', ['--version'], { capture: true, cwd: ROOT });
  if (rust.code !== 0) throw new StepError(`${advice}\ncargo was not found.`);
  const [major, minor] = /(\d+)\.(\d+)/.exec(rust.output).slice(1).map(Number);
  if (major < Number(wanted[0]) || (major === Number(wanted[0]) && minor < Number(wanted[1]))) {
    throw new StepError(`${advice}\nFound ${rust.output.trim()}; \`rustup update\` brings a newer one.`);
  }
  const compiler = process.env.CC ?? 'cc';
  if ((await run(compiler, ['--version'], { capture: true })).code !== 0) {
    throw new StepError(
      `Building needs a C compiler and linker, and \`${compiler}\` was not found.\n` +
        'Debian, Ubuntu: apt-get install build-essential    Fedora: dnf install gcc    macOS: xcode-select --install',
    );
  }
  return rust.output.trim();
}

/** Builds the addon into dist/native; returns false when it was up to date. */
export async function buildAddon({ profile = 'release', target } = {}) {
  const platform = target === undefined ? platformName() : platformOf(target).name;
  const addon = join(NATIVE, `sluice.${platform}.node`);
  const stamp = join(NATIVE, `${platform}.stamp`);
  const wanted = fingerprint(RUST_SOURCES, [profile, platform]);
  if (readIfPresent(stamp) === wanted && existsSync(addon)) return false;
  await requireToolchain();
  rmSync(stamp, { force: true });
  await compileAddon(profile, target);
  mkdirSync(NATIVE, { recursive: true });
  const folder = profile === 'dev' ? 'debug' : profile;
  await replaceFile(join(TARGET, target ?? '', folder, libraryName(platform)), addon);
  writeFileSync(stamp, wanted);
  return true;
}

/** For another platform, cargo-zigbuild links against the oldest C library we support; macOS builds for itself. */
async function compileAddon(profile, target = '') {
  const command = target.includes('-linux-') ? 'zigbuild' : 'build';
  const args = [command, '--locked', '--package', 'sluice-node', '--profile', profile];
  if (target !== '') {
    args.push('--target', target.replace(/-gnu$/, `-gnu.${GLIBC_FLOOR}`));
    args.push('--config', 'profile.release.strip="debuginfo"'); // names stay for panics; lines are most of the size
  }
  // An addon is loaded into a process that has its C library already, so musl's is not linked in.
  const env = target.endsWith('-musl') ? { RUSTFLAGS: '-C target-feature=-crt-static' } : {};
  const options = { cwd: ROOT, env: { ...process.env, ...env } };
  await mustRun('cargo', args, options, "The addon could not be built; cargo's message is above.");
}

/** What cargo calls the library. */
function libraryName(platform) {
  return platform.startsWith('darwin') ? 'libsluice_node.dylib' : 'libsluice_node.so';
}

/** Puts a copy in place by renaming: a process that has the old addon loaded keeps it, instead of crashing. */
async function replaceFile(from, to) {
  const fresh = `${to}.${process.pid}`;
  await copyFile(from, fresh);
  await rename(fresh, to);
}

/** Compiles ts/src into dist; returns false when it was up to date. */
export async function buildTypeScript() {
  const stamp = join(ROOT, 'dist', 'typescript.stamp');
  const wanted = fingerprint(TYPESCRIPT_SOURCES);
  if (readIfPresent(stamp) === wanted) return false;
  rmSync(stamp, { force: true });
  await mustRun(
    process.execPath,
    [TSC, '--project', 'tsconfig.json'],
    { cwd: ROOT },
    'TypeScript found errors, listed above.',
  );
  removeOrphans();
  writeWithFolders(stamp, wanted);
  return true;
}

/** Deletes what an earlier build left of sources that are gone, so that it is neither loaded nor shipped. */
function removeOrphans() {
  const dist = join(ROOT, 'dist');
  for (const name of listFiles(dist)) {
    const source = name.replace(/(\.d\.ts|\.js\.map|\.js)$/, '.ts');
    const compiled = source !== name && !name.startsWith('native/');
    if (compiled && !existsSync(join(ROOT, 'ts', 'src', source))) rmSync(join(dist, name));
  }
}

/** Install, addon, TypeScript, each only where something changed. */
export async function buildAll(options = {}) {
  requireNode();
  await step('Install packages', installPackages);
  if (options.typescript !== false) await step('Compile TypeScript', buildTypeScript);
  const profile = options.profile ?? 'release';
  const hint = profile === 'release' ? '; the first time takes some minutes' : '';
  if (options.addon !== false)
    await step(`Build the data plane (${profile}${hint})`, () => buildAddon(options));
}

async function main() {
  const { values } = parseArgs({
    options: {
      profile: { type: 'string', default: 'release' },
      target: { type: 'string' },
      'addon-only': { type: 'boolean', default: false },
      'typescript-only': { type: 'boolean', default: false },
    },
  });
  await buildAll({ ...values, addon: !values['typescript-only'], typescript: !values['addon-only'] });
}

if (isMain(import.meta.url)) await runMain(main);
