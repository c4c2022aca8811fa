#!/usr/bin/env node
// `npm run matrix`: every dialect in, every provider out. Official SDKs talk to the built gateway, which sends to scripted
// providers that check what they get; the last line says how many of the 36 cells are green.
//
//   node scripts/matrix.mjs [--from DIALECT] [--to DIALECT] [--direct] [--built]
//
// With --direct each SDK talks to the scripted provider of its own dialect, without a gateway. With --built the gateway
// is taken as it is.

import { join } from 'node:path';
import { buildAll } from './build.mjs';
import { runInOurPlace } from './lib/forward.mjs';
import { isMain, mustRun, runMain } from './lib/steps.mjs';
import { ROOT } from './lib/tree.mjs';

const TSC = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');

/** `{ passed, failed, skipped }` by the last line of a run; one failure where it did not come that far. */
export function countMatrix(output) {
  const [, green, all] = /^(\d+)\/(\d+)\s*$/m.exec(output) ?? [undefined, 0, 1];
  return { passed: Number(green), failed: Number(all) - Number(green), skipped: 0 };
}

async function main() {
  const args = process.argv.slice(2).filter((arg) => arg !== '--built');
  const isBuilt = process.argv.includes('--built') || args.includes('--direct');
  if (!isBuilt) await buildAll();
  await mustRun(
    process.execPath,
    [TSC, '--project', 'ts/test/matrix'],
    { cwd: ROOT },
    'TypeScript found errors in the matrix, listed above.',
  );
  // The SDK of AWS warns of a Node.js that is not yet too old for it.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const program = ['--program', join(ROOT, 'dist', 'cli', 'main.js')];
  runInOurPlace(process.execPath, [join(ROOT, 'target', 'matrix', 'run.js'), ...program, ...args]);
}

if (isMain(import.meta.url)) await runMain(main);
