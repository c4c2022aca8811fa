import { describe, expect, it } from 'vitest';
import { platformName, platformOf } from '../../../scripts/lib/platform.mjs';
import { platformManifest, releaseManifest } from '../../../scripts/release-packages.mjs';

const main = {
  name: 'sluice',
  version: '1.2.3',
  license: 'Apache-2.0',
  scripts: { start: 'x' },
  napi: { packageName: '@sluice/core', targets: ['x86_64-unknown-linux-musl', 'aarch64-apple-darwin'] },
  dependencies: { a: '1.0.0' },
  devDependencies: { b: '1.0.0' },
};

describe('platformOf', () => {
  it.each([
    ['x86_64-unknown-linux-gnu', { name: 'linux-x64-gnu', os: 'linux', cpu: 'x64', libc: 'glibc' }],
    ['aarch64-unknown-linux-musl', { name: 'linux-arm64-musl', os: 'linux', cpu: 'arm64', libc: 'musl' }],
    ['aarch64-apple-darwin', { name: 'darwin-arm64', os: 'darwin', cpu: 'arm64' }],
  ])('%s', (target, platform) => {
    expect(platformOf(target)).toEqual(platform);
  });
  it.each(['riscv64gc-unknown-linux-gnu', 'x86_64-pc-windows-msvc'])('refuses %s', (target) => {
    expect(() => platformOf(target)).toThrow(/has no name on npm/);
  });
});

it('this platform has one of the names that are published', () => {
  const targets = ['unknown-linux-gnu', 'unknown-linux-musl', 'apple-darwin'].flatMap((system) =>
    ['x86_64', 'aarch64'].map((cpu) => platformOf(`${cpu}-${system}`).name),
  );
  expect(targets).toContain(platformName());
});

it('a platform package holds the addon, for one platform, without scripts', () => {
  expect(platformManifest(main, platformOf('x86_64-unknown-linux-musl'))).toMatchObject({
    name: '@sluice/core-linux-x64-musl',
    version: '1.2.3',
    main: 'sluice.linux-x64-musl.node',
    files: ['sluice.linux-x64-musl.node', 'LICENSE'],
    os: ['linux'],
    cpu: ['x64'],
    libc: ['musl'],
  });
});

it('the main package depends on every platform by its exact version, and ships neither tools nor scripts', () => {
  const manifest = releaseManifest(main);
  expect(manifest.optionalDependencies).toEqual({
    '@sluice/core-darwin-arm64': '1.2.3',
    '@sluice/core-linux-x64-musl': '1.2.3',
  });
  expect(manifest).not.toHaveProperty('devDependencies');
  expect(manifest).not.toHaveProperty('scripts');
});
