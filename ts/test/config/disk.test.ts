import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findConfigFile, processSurroundings } from '../../src/config/disk.js';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-disk-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

describe('findConfigFile', () => {
  it('takes the named one, then the variable, then one in the directory, then none', () => {
    const find = (named?: string, variables: Record<string, string> = {}): string | null =>
      findConfigFile(named, variables, directory);
    expect(find()).toBeNull();
    writeFileSync(join(directory, 'sluice.json'), '{}');
    expect(find()).toBe('sluice.json');
    writeFileSync(join(directory, 'sluice.yaml'), '');
    expect(find()).toBe('sluice.yaml');
    expect(find(undefined, { SLUICE_CONFIG: '' })).toBe('sluice.yaml');
    expect(find(undefined, { SLUICE_CONFIG: '/v.yaml' })).toBe('/v.yaml');
    expect(find('/n.yaml', { SLUICE_CONFIG: '/v.yaml' })).toBe('/n.yaml');
  });
});

describe('processSurroundings', () => {
  it('reads files with their mode, and fails as the file system does', () => {
    const { readFile, variables, now } = processSurroundings({ A: 'b' });
    const file = join(directory, 'secret');
    writeFileSync(file, 'text');
    chmodSync(file, 0o640);
    expect(readFile(file)).toEqual({ text: 'text', mode: process.platform === 'win32' ? null : 0o640 });
    expect(() => readFile(join(directory, 'absent'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(variables).toEqual({ A: 'b' });
    expect(Math.abs(Date.now() - now)).toBeLessThan(60_000);
  });
});
