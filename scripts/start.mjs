#!/usr/bin/env node
// `npm start`: from a fresh clone to a running gateway. Installs and builds what is missing, then runs
// `sluice start` with the arguments given (`npm start -- --config sluice.yaml`).

import { join } from 'node:path';
import { buildAll } from './build.mjs';
import { runInOurPlace } from './lib/forward.mjs';
import { runMain } from './lib/steps.mjs';
import { ROOT } from './lib/tree.mjs';

await runMain(async () => {
  await buildAll();
  runInOurPlace(process.execPath, [join(ROOT, 'dist', 'cli', 'main.js'), 'start', ...process.argv.slice(2)]);
});
