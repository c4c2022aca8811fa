#!/usr/bin/env node
// Writes the bill of materials of a release: what the two lock files bring to a user, as CycloneDX 1.6 in JSON
// (https://cyclonedx.org/docs/1.6/json/). Tools of development are not in it. Run by the release workflow.
//
//   node scripts/sbom.mjs [--out FILE]
//
// Nothing but the lock files and our own manifests goes in, no time and no random number: the same commit has the same
// bill, to the byte. Packages and crates of other platforms are in it as well.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { StepError, isMain, runMain } from './lib/steps.mjs';
import { ROOT, listFiles } from './lib/tree.mjs';

/** The crate that is the addon. */
const ADDON_CRATE = 'sluice-node';

const NODE_MODULES = 'node_modules/';

const component = (type, name, version, purl, more) => ({
  type,
  'bom-ref': purl,
  name,
  version,
  purl,
  ...more,
});

const npmUrl = (name, version) => `pkg:npm/${name.replace('@', '%40')}@${version}`;
const cargoUrl = (name, version) => `pkg:cargo/${name}@${version}`;

/** `sha512-BASE64` of npm as CycloneDX has it. */
function hashOf(integrity) {
  const [algorithm, digest] = integrity.split('-');
  if (algorithm !== 'sha512') throw new StepError(`${integrity} is no SHA-512`);
  return { alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') };
}

/** Path in the lock file of what the package at `path` gets for a name: the nearest folder that has it, as Node looks. */
function resolvedPath(packages, path, name) {
  const above = path.split(`/${NODE_MODULES}`);
  const within = above.map((_, up) => [...above.slice(0, above.length - up), name].join(`/${NODE_MODULES}`));
  return [...within, `${NODE_MODULES}${name}`].find((place) => place in packages);
}

/** Packages of a package-lock.json that are installed for a user, with what each of them uses. */
export function npmParts({ packages }) {
  const nameAt = (path) => path.slice(path.lastIndexOf(NODE_MODULES) + NODE_MODULES.length);
  const urlAt = (path) => npmUrl(nameAt(path), packages[path].version);
  const uses = (path) => {
    const { dependencies = {}, optionalDependencies = {} } = packages[path];
    return Object.keys({ ...dependencies, ...optionalDependencies })
      .map((name) => resolvedPath(packages, path, name))
      .filter((place) => place !== undefined)
      .map(urlAt);
  };
  return Object.entries(packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && dev !== true && devOptional !== true)
    .map(([path, { version, integrity, license }]) => ({
      uses: uses(path),
      component: component('library', nameAt(path), version, urlAt(path), {
        hashes: [hashOf(integrity)],
        ...(license !== undefined && { licenses: [{ expression: license }] }),
      }),
    }));
}

/** The packages of a Cargo.lock. */
export function lockedCrates(text) {
  return text
    .split('[[package]]')
    .slice(1)
    .map((block) => {
      const field = (name) => new RegExp(`^${name} = "(.*)"$`, 'm').exec(block)?.[1];
      const list = /^dependencies = \[([^\]]*)\]/m.exec(block)?.[1] ?? '';
      const dependencies = [...list.matchAll(/"([^"]+)"/g)].map(([, dependency]) => dependency);
      return { name: field('name'), version: field('version'), checksum: field('checksum'), dependencies };
    });
}

/** Names that a Cargo.toml uses in tests only. */
export function devOnly(manifest) {
  const used = { dev: new Set(), built: new Set() };
  let into;
  for (const line of manifest.split('\n')) {
    const header = /^\[(.+)\]$/.exec(line)?.[1];
    if (header !== undefined) {
      const kind = /(?:^|\.)(dev-|build-)?dependencies$/.exec(header);
      into = kind === null ? undefined : used[kind[1] === 'dev-' ? 'dev' : 'built'];
    } else into?.add(/^([\w-]+)/.exec(line)?.[1]);
  }
  return [...used.dev].filter((name) => name !== undefined && !used.built.has(name));
}

/**
 * Crates that the addon is built from, with what each of them uses. `notBuilt` tells the names that a crate of ours uses in
 * tests only, which a lock file does not tell apart.
 */
export function crateParts(lock, notBuilt, root = ADDON_CRATE) {
  const crates = lockedCrates(lock);
  const find = (dependency) => {
    const [name, version] = dependency.split(' ');
    return crates.find(
      (crate) => crate.name === name && (version === undefined || crate.version === version),
    );
  };
  const usesOf = ({ name, dependencies }) => {
    const left = notBuilt(name);
    return dependencies.map(find).filter((used) => !left.includes(used.name));
  };
  const found = new Set([find(root)]);
  for (const crate of found) for (const used of usesOf(crate)) found.add(used);
  return [...found].map((crate) => ({
    uses: usesOf(crate).map(({ name, version }) => cargoUrl(name, version)),
    component: component('library', crate.name, crate.version, cargoUrl(crate.name, crate.version), {
      ...(crate.checksum !== undefined && { hashes: [{ alg: 'SHA-256', content: crate.checksum }] }),
    }),
  }));
}

/** A version-8 UUID (RFC 9562) of what is told by the lock files. */
function serialNumber(...texts) {
  const hex = createHash('sha256').update(texts.join('\0')).digest('hex');
  const variant = ((Number.parseInt(hex[16], 16) & 3) | 8).toString(16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The bill of materials as a document. */
export function billOfMaterials({ manifest, packageLock, cargoLock, notBuilt }) {
  const lock = JSON.parse(packageLock);
  const npm = npmParts(lock);
  const crates = crateParts(cargoLock, notBuilt);
  const { name, version, license } = manifest;
  const self = component('application', name, version, npmUrl(name, version), {
    licenses: [{ expression: license }],
  });
  const direct = Object.keys(lock.packages[''].dependencies).map((used) =>
    npmUrl(used, lock.packages[`${NODE_MODULES}${used}`].version),
  );
  const parts = [...npm, ...crates].sort((a, b) => (a.component.purl < b.component.purl ? -1 : 1));
  const unique = parts.filter(({ component: { purl } }, at) => purl !== parts[at - 1]?.component.purl);
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: serialNumber(version, packageLock, cargoLock),
    version: 1,
    metadata: { component: self },
    components: unique.map((part) => part.component),
    dependencies: [
      { ref: self.purl, dependsOn: [...direct, crates[0].component.purl].sort() },
      ...unique.map(({ component: { purl }, uses }) => ({ ref: purl, dependsOn: [...new Set(uses)].sort() })),
    ],
  };
}

/** What our own crates use in tests only, by their names. */
export function devOnlyOfTree(root) {
  const manifests = listFiles(join(root, 'crates')).filter((path) => /^[^/]+\/Cargo\.toml$/.test(path));
  const byName = new Map(
    manifests.map((path) => {
      const text = readFileSync(join(root, 'crates', path), 'utf8');
      return [/^name = "(.+)"$/m.exec(text)?.[1], devOnly(text)];
    }),
  );
  return (name) => byName.get(name) ?? [];
}

/** The bill of materials of a checkout. */
export function billOfTree(root) {
  const read = (name) => readFileSync(join(root, name), 'utf8');
  return billOfMaterials({
    manifest: JSON.parse(read('package.json')),
    packageLock: read('package-lock.json'),
    cargoLock: read('Cargo.lock'),
    notBuilt: devOnlyOfTree(root),
  });
}

if (isMain(import.meta.url)) {
  await runMain(async () => {
    const { values } = parseArgs({ options: { out: { type: 'string' } } });
    const text = `${JSON.stringify(billOfTree(ROOT), null, 2)}\n`;
    if (values.out === undefined) process.stdout.write(text);
    else writeFileSync(values.out, text);
  });
}
