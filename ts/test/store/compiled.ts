/** Our TypeScript as JavaScript, for tests that need a process of their own to kill. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../../..');

/**
 * Compiles `ts/src` into a fresh folder below the ignored `target` (so that packages resolve) and returns it; the caller
 * removes it. Type errors elsewhere are not this test's business.
 */
export function compileSources(): string {
  mkdirSync(join(ROOT, 'target'), { recursive: true });
  const target = mkdtempSync(join(ROOT, 'target', 'ts-test-'));
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const args = [tsc, '-p', ROOT, '--outDir', target, '--declaration', 'false', '--sourceMap', 'false'];
  try {
    execFileSync(process.execPath, args, { stdio: 'pipe' });
  } catch {
    // tsc emits in spite of type errors; a missing file fails the test that imports it.
  }
  return target;
}
