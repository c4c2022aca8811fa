/** Checks 78 to 83, as far as the tree alone tells: what is installed, from where, how much of it, and how it is released. */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT, listFiles } from '../../../scripts/lib/tree.mjs';
import { dependenciesWithScripts, inexactVersions, installScripts } from '../../../scripts/pack-check.mjs';
import { platformManifest, releaseManifest } from '../../../scripts/release-packages.mjs';
import { platformOf } from '../../../scripts/lib/platform.mjs';
import { crateParts, devOnlyOfTree, npmParts } from '../../../scripts/sbom.mjs';
import { compileSources } from '../store/compiled.js';

const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly napi: { readonly packageName: string; readonly targets: readonly string[] };
}
const manifest = JSON.parse(read('package.json')) as Manifest;
const lock = JSON.parse(read('package-lock.json')) as Parameters<typeof npmParts>[0];
const platforms = manifest.napi.targets.map((target) => platformManifest(manifest, platformOf(target)));

/** Lines of the workflows, and of the script of CI. */
function commandsOf(pattern: RegExp): string[] {
  const workflows = readdirSync(join(ROOT, '.github', 'workflows')).map(
    (name) => `.github/workflows/${name}`,
  );
  const lines = [...workflows, '.ci/run'].flatMap((name) => read(name).split('\n'));
  return lines.filter((line) => pattern.test(line)).map((line) => line.trim());
}

describe('check 78: installing runs nothing', () => {
  it('of the package as it is published, of its platforms, or of what they depend on', () => {
    const published = releaseManifest(manifest);
    expect(installScripts(manifest)).toEqual([]);
    expect(published).not.toHaveProperty('scripts');
    for (const platform of platforms) expect(platform).not.toHaveProperty('scripts');
    expect(dependenciesWithScripts(lock)).toEqual([]);
    expect(read('.npmrc')).toMatch(/^ignore-scripts=true$/m);
  });

  it('and brings one exact version of the addon, for each platform there is', () => {
    const { optionalDependencies } = releaseManifest(manifest);
    expect(Object.keys(optionalDependencies)).toHaveLength(manifest.napi.targets.length);
    expect(new Set(Object.values(optionalDependencies))).toEqual(new Set([manifest.version]));
    expect(inexactVersions(releaseManifest(manifest))).toEqual([]);
  });
});

describe('check 80: publishing', () => {
  const release = read('.github/workflows/release.yml');

  it('is done by a workflow that npm trusts, with provenance and without a token', () => {
    expect(release).toMatch(/id-token: write/);
    expect(release).not.toMatch(/NPM_TOKEN|NODE_AUTH_TOKEN|_authToken/);
    expect(manifest).toMatchObject({ publishConfig: { provenance: true } });
    for (const platform of platforms) expect(platform).toMatchObject({ publishConfig: { provenance: true } });
    expect(read('.github/workflows/ci.yml')).toMatch(/^ +npm audit signatures$/m);
  });

  it('uses no action but by its commit', () => {
    const used = commandsOf(/^\s*(?:- )?uses: /);
    expect(used.length).toBeGreaterThan(5);
    expect(used.filter((line) => !/uses: actions\/[\w-]+@[\da-f]{40} # v/.test(line))).toEqual([]);
  });
});

describe('check 81: what others wrote', () => {
  it('is taken as the lock files say', () => {
    expect(commandsOf(/\bnpm (?:install|i|add)\b/)).toEqual([]);
    expect(read('scripts/lib/install.mjs')).toContain("'ci', '--ignore-scripts'");
    const cargo = commandsOf(/\bcargo (?:build|test|deny|install|zigbuild)\b/);
    expect(cargo.length).toBeGreaterThan(1);
    expect(cargo.filter((line) => !line.includes('--locked'))).toEqual([]);
    expect(read('scripts/build.mjs')).toContain("[command, '--locked',");
    expect(read('scripts/test.mjs')).toContain("'--workspace', '--locked'");
    expect(read('.github/workflows/ci.yml')).toMatch(/^ +npm ci --ignore-scripts$/m);
    expect(read('.github/workflows/ci.yml')).toMatch(/cargo deny --locked check$/m);
  });

  /**
   * How much of it a user gets. More is a decision: raise the number together with what it was worth, in the commit that
   * adds the dependency. With fewer, lower it, so that nobody else uses up what you have saved.
   */
  it('is as much as was decided, and no more', () => {
    const crates = crateParts(read('Cargo.lock'), devOnlyOfTree(ROOT)).filter(
      ({ component: { name } }: { component: { name: string } }) => !name.startsWith('sluice-'),
    );
    expect({ npm: npmParts(lock).length, crates: crates.length }).toEqual({ npm: 89, crates: 154 });
  });
});

describe('check 83: the same sources', () => {
  it('compile to the same JavaScript, wherever and however often', { timeout: 120_000 }, () => {
    const folders = [compileSources(), compileSources()];
    try {
      const [one, other] = folders.map((folder) =>
        listFiles(folder).map((name: string) => {
          const bytes = readFileSync(join(folder, name));
          return `${createHash('sha256').update(bytes).digest('hex')} ${name}`;
        }),
      );
      expect(one?.length).toBeGreaterThan(100);
      expect(other).toEqual(one);
      for (const folder of folders) {
        const named = listFiles(folder).filter((name: string) =>
          readFileSync(join(folder, name), 'utf8').includes(ROOT),
        );
        expect(named).toEqual([]);
      }
    } finally {
      for (const folder of folders) rmSync(folder, { recursive: true });
    }
  });
});
