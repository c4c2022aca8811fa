#!/usr/bin/env node
// Assembles what a release publishes: one package per platform from the built addons, in npm/<platform>/, and the
// main package's optional dependencies on them. Run by the release workflow, on a checkout of the tag.
//
//   node scripts/release-packages.mjs --tag v1.2.3 --artifacts FOLDER
//
// The main package names each platform package by its exact version and holds no addon itself: npm installs the one
// that fits, and nothing has to run at install.

import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { platformOf } from './lib/platform.mjs';
import { StepError, isMain, runMain } from './lib/steps.mjs';
import { ROOT } from './lib/tree.mjs';

/**
 * The package.json of one platform's package.
 *
 * @param {Record<string, any>} main
 * @param {ReturnType<typeof platformOf>} platform
 */
export function platformManifest(main, { name, os, cpu, libc }) {
  const addon = `sluice.${name}.node`;
  return {
    name: `${main.napi.packageName}-${name}`,
    version: main.version,
    description: `The data plane of Sluice for ${name}`,
    homepage: main.homepage,
    repository: main.repository,
    license: main.license,
    main: addon,
    files: [addon, 'LICENSE'],
    engines: main.engines,
    os: [os],
    cpu: [cpu],
    ...(libc !== undefined && { libc: [libc] }),
    publishConfig: main.publishConfig,
  };
}

/**
 * The main package.json as it is published.
 *
 * @returns {Record<string, unknown> & { optionalDependencies: Record<string, string> }}
 */
export function releaseManifest(main) {
  const platforms = main.napi.targets.map((target) => platformOf(target).name).sort();
  const optionalDependencies = Object.fromEntries(
    platforms.map((name) => [`${main.napi.packageName}-${name}`, main.version]),
  );
  const { devDependencies: _dev, scripts: _scripts, ...published } = main;
  return { ...published, optionalDependencies };
}

function writeManifest(folder, manifest) {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

function assemble(main, artifacts) {
  for (const target of main.napi.targets) {
    const platform = platformOf(target);
    const addon = join(artifacts, `sluice.${platform.name}.node`);
    if (!existsSync(addon)) throw new StepError(`${addon} is missing`);
    const folder = join(ROOT, 'npm', platform.name);
    mkdirSync(folder, { recursive: true });
    copyFileSync(addon, join(folder, `sluice.${platform.name}.node`));
    copyFileSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
    writeManifest(folder, platformManifest(main, platform));
  }
  writeManifest(ROOT, releaseManifest(main));
}

if (isMain(import.meta.url)) {
  await runMain(async () => {
    const { values } = parseArgs({ options: { tag: { type: 'string' }, artifacts: { type: 'string' } } });
    const main = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    if (values.tag !== `v${main.version}`) {
      throw new StepError(`the tag is ${values.tag}, but package.json says ${main.version}`);
    }
    if (values.artifacts === undefined) throw new StepError('--artifacts is missing');
    assemble(main, values.artifacts);
  });
}
