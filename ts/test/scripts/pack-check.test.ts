import { describe, expect, it } from 'vitest';
import {
  compareLists,
  dependenciesWithScripts,
  expectedFiles,
  inexactVersions,
  installScripts,
} from '../../../scripts/pack-check.mjs';

describe('the content of the package', () => {
  it('is the documents and the compiled sources', () => {
    expect(expectedFiles(['main.ts', 'store/schema.sql'])).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'dist/main.d.ts',
      'dist/main.js',
      'package.json',
    ]);
  });

  it('is refused with more and with less', () => {
    expect(compareLists(['a', 'b'], ['b', '.env'])).toEqual([
      '.env would be published',
      'a would be missing',
    ]);
    expect(compareLists(['a'], ['a'])).toEqual([]);
  });
});

describe('nothing runs at install', () => {
  it('from the package itself', () => {
    expect(installScripts({ scripts: { start: 'x', postinstall: 'x', prepare: 'x' } })).toEqual([
      'postinstall',
      'prepare',
    ]);
    expect(installScripts({})).toEqual([]);
  });

  it('from what it depends on', () => {
    const packages = {
      '': { hasInstallScript: true },
      'node_modules/a': { hasInstallScript: true },
      'node_modules/b/node_modules/@x/c': { hasInstallScript: true },
      'node_modules/tool': { hasInstallScript: true, dev: true },
      'node_modules/d': {},
    };
    expect(dependenciesWithScripts({ packages })).toEqual(['a', '@x/c']);
  });

  it('and every version is exact', () => {
    const manifest = { dependencies: { a: '1.2.3', b: '^1.2.3' }, optionalDependencies: { c: '1.0.0-rc.1' } };
    expect(inexactVersions(manifest)).toEqual(['b@^1.2.3']);
  });
});
