/** Check 83: what a release consists of. */

import { describe, expect, it } from 'vitest';
import {
  billOfMaterials,
  billOfTree,
  crateParts,
  devOnly,
  lockedCrates,
  npmParts,
} from '../../../scripts/sbom.mjs';
import { ROOT } from '../../../scripts/lib/tree.mjs';

const HASH = `sha512-${Buffer.alloc(64, 7).toString('base64')}`;

const packageLock = {
  packages: {
    '': { dependencies: { a: '1.0.0' }, devDependencies: { tool: '1.0.0' } },
    'node_modules/a': { version: '1.0.0', integrity: HASH, license: 'MIT', dependencies: { '@x/b': '^2' } },
    'node_modules/a/node_modules/@x/b': { version: '2.0.0', integrity: HASH, dependencies: { c: '*' } },
    'node_modules/@x/b': { version: '1.0.0', integrity: HASH },
    'node_modules/c': { version: '3.0.0', integrity: HASH },
    'node_modules/tool': { version: '1.0.0', integrity: HASH, dev: true },
  },
};

const cargoLock = `
[[package]]
name = "left-over"
version = "9.0.0"

[[package]]
name = "sluice-node"
version = "0.1.0"
dependencies = [
 "used 2.0.0",
 "tried-in-tests",
]

[[package]]
name = "tried-in-tests"
version = "1.0.0"

[[package]]
name = "used"
version = "1.0.0"
checksum = "aa"

[[package]]
name = "used"
version = "2.0.0"
checksum = "bb"
dependencies = ["used 1.0.0"]
`;

const notBuilt = (name: string) => (name === 'sluice-node' ? ['tried-in-tests'] : []);
const purls = (parts: { component: { purl: string } }[]) => parts.map(({ component }) => component.purl);

describe('a bill of materials', () => {
  it('has the packages that a user gets, and whom they get them from', () => {
    const parts = npmParts(packageLock);
    expect(purls(parts).sort()).toEqual([
      'pkg:npm/%40x/b@1.0.0',
      'pkg:npm/%40x/b@2.0.0',
      'pkg:npm/a@1.0.0',
      'pkg:npm/c@3.0.0',
    ]);
    expect(parts[0]).toEqual({
      uses: ['pkg:npm/%40x/b@2.0.0'],
      component: {
        type: 'library',
        'bom-ref': 'pkg:npm/a@1.0.0',
        name: 'a',
        version: '1.0.0',
        purl: 'pkg:npm/a@1.0.0',
        hashes: [{ alg: 'SHA-512', content: '07'.repeat(64) }],
        licenses: [{ expression: 'MIT' }],
      },
    });
    expect(parts[1]?.uses).toEqual(['pkg:npm/c@3.0.0']);
  });

  it('has the crates that the addon is built from, and none of the tests', () => {
    expect(lockedCrates(cargoLock)).toHaveLength(5);
    const parts = crateParts(cargoLock, notBuilt);
    expect(purls(parts)).toEqual(
      ['sluice-node@0.1.0', 'used@2.0.0', 'used@1.0.0'].map((one) => `pkg:cargo/${one}`),
    );
    expect(parts[1]).toMatchObject({
      uses: ['pkg:cargo/used@1.0.0'],
      component: { hashes: [{ alg: 'SHA-256', content: 'bb' }] },
    });
  });

  it('tells what a crate uses in its tests only', () => {
    const manifest =
      '[package]\nname = "x"\n[dependencies]\na = "1"\n[target.\'cfg(unix)\'.dependencies]\nb = "1"\n' +
      '[build-dependencies]\nc = "1"\n[dev-dependencies]\na = "1"\nd = { workspace = true }\n\n[lib]\ne = "1"\n';
    expect(devOnly(manifest)).toEqual(['d']);
  });

  it('is the same for the same locks, and another for others', () => {
    const manifest = { name: 'sluice', version: '0.1.0', license: 'Apache-2.0' };
    const parts = { manifest, packageLock: JSON.stringify(packageLock), cargoLock, notBuilt };
    const bill = billOfMaterials(parts);
    expect(billOfMaterials(parts)).toEqual(bill);
    const other = billOfMaterials({ ...parts, cargoLock: cargoLock.replace('"bb"', '"cc"') });
    expect(other.serialNumber).not.toBe(bill.serialNumber);
    expect(bill.dependencies[0]).toEqual({
      ref: 'pkg:npm/sluice@0.1.0',
      dependsOn: ['pkg:cargo/sluice-node@0.1.0', 'pkg:npm/a@1.0.0'],
    });
  });
});

describe('check 83: the bill of this checkout', () => {
  const bill = billOfTree(ROOT);

  it('is CycloneDX, names nothing twice, and refers to nothing that it lacks', () => {
    expect(bill).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 });
    expect(bill.serialNumber).toMatch(
      /^urn:uuid:[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/,
    );
    const known = bill.components.map((component: { 'bom-ref': string }) => component['bom-ref']);
    expect(new Set(known).size).toBe(known.length);
    const named = bill.dependencies.flatMap(({ dependsOn }: { dependsOn: string[] }) => dependsOn);
    expect(named.filter((ref: string) => !known.includes(ref))).toEqual([]);
    // Everything is there for a reason: somebody uses it.
    const root = ['pkg:cargo/sluice-node@'];
    expect(
      known.filter((ref: string) => !named.includes(ref) && !root.some((own) => ref.startsWith(own))),
    ).toEqual([]);
  });

  it('pins everything that is not ours by its content', () => {
    const loose = bill.components.filter(
      (component: { hashes?: object[] }) => component.hashes === undefined,
    );
    expect(
      loose.map(({ name }: { name: string }) => name).filter((name: string) => !name.startsWith('sluice-')),
    ).toEqual([]);
  });
});
