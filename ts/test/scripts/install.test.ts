import { describe, expect, it } from 'vitest';
import { isInstalled, requireNode } from '../../../scripts/lib/install.mjs';

const lock = (packages: Record<string, object>) => JSON.stringify({ packages });

describe('isInstalled', () => {
  const wanted = lock({
    '': { name: 'sluice' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/a-darwin': { version: '1.0.0', optional: true },
  });
  const cases: [string, string | undefined, boolean][] = [
    ['nothing installed', undefined, false],
    ['everything installed', lock({ 'node_modules/a': { version: '1.0.0' } }), true],
    ['another version', lock({ 'node_modules/a': { version: '1.0.1' } }), false],
    ['a package missing', lock({}), false],
    [
      'an optional one of another version',
      lock({ 'node_modules/a': { version: '1.0.0' }, 'node_modules/a-darwin': { version: '2.0.0' } }),
      false,
    ],
  ];
  it.each(cases)('%s', (_name, installed, expected) => {
    expect(isInstalled(wanted, installed)).toBe(expected);
  });
});

describe('requireNode', () => {
  it.each(['20.19.0', '20.20.2', '22.0.0', '24.1.0'])('accepts %s', (version) => {
    expect(() => requireNode(version)).not.toThrow();
  });
  it.each(['18.20.0', '20.18.9'])('refuses %s', (version) => {
    expect(() => requireNode(version)).toThrow(/needs Node 20\.19 or newer/);
  });
});
