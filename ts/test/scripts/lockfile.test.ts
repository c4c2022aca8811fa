import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lock = JSON.parse(readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8')) as {
  packages: Record<string, LockedPackage>;
};
const packages = Object.entries(lock.packages).filter(([path]) => path !== '');

/** Places where Node would look for a dependency of the package at `path`, nearest first. */
function placesOf(path: string, name: string): string[] {
  const above = path.split('/node_modules/');
  const within = above.map((_, up) => [...above.slice(0, above.length - up), name].join('/node_modules/'));
  return [...within, `node_modules/${name}`];
}

describe('package-lock.json', () => {
  it('is not empty', () => {
    expect(packages.length).toBeGreaterThan(100);
  });

  // A lock file written on one platform can leave out what the others need; npm ci then refuses it, or installs tools
  // that cannot start.
  it('holds the native packages of every platform', () => {
    const missing = packages.flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => !placesOf(path, name).some((place) => place in lock.packages))
        .map((name) => `${name}, of ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it('pins every package by its content, and none to one registry', () => {
    const loose = packages.filter(
      ([, { integrity, resolved }]) => integrity === undefined || resolved !== undefined,
    );
    expect(loose.map(([path]) => path)).toEqual([]);
  });
});
