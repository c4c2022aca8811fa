#!/usr/bin/env node
// Starts the built gateway with its demo provider, has one question answered, whole and as a stream, and stops it.
// Needs nothing but Node: it is how a release tries its addons on every platform.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StepError, runMain, step } from './lib/steps.mjs';
import { ROOT } from './lib/tree.mjs';

/** Longest wait for the gateway to serve, and to stop. */
const LIMIT_MS = 30_000;

/** No listener on a port that may be taken, and the demo provider whatever the environment holds. */
const CONFIG = {
  listeners: { data: { address: '127.0.0.1:0' }, admin: { address: '127.0.0.1:0' } },
  providers: { demo: {} },
};

/** Collects what the gateway prints, and resolves with it when `pattern` is there. */
function waitFor(child, pattern) {
  let text = '';
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new StepError(`the gateway printed no ${pattern}:\n${text}`)),
      LIMIT_MS,
    );
    child.on('exit', (code) => reject(new StepError(`the gateway ended with exit code ${code}:\n${text}`)));
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        text += chunk;
        if (!pattern.test(text)) return;
        clearTimeout(timer);
        resolve(text);
      });
    }
  });
}

async function ask(url, key, stream) {
  const response = await fetch(`${url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo', stream, messages: [{ role: 'user', content: 'Say hello' }] }),
  });
  const text = await response.text();
  if (response.status !== 200) throw new StepError(`the gateway answered ${response.status}: ${text}`);
  return text;
}

async function stop(child) {
  const killed = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  child.removeAllListeners('exit');
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  clearTimeout(killed);
  if (code !== 0) throw new StepError(`the gateway stopped with exit code ${code}`);
}

async function answerOnce(folder) {
  const config = join(folder, 'sluice.yaml');
  writeFileSync(config, JSON.stringify(CONFIG));
  const args = [
    join(ROOT, 'dist', 'cli', 'main.js'),
    'start',
    '--config',
    config,
    '--data-dir',
    join(folder, 'data'),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    const banner = await waitFor(child, /Try it:[\s\S]*sk-slc-/);
    const url = /http:\/\/127\.0\.0\.1:\d+\/v1/.exec(banner)[0];
    const key = /sk-slc-[\w-]+/.exec(banner)[0];
    if (!(await ask(url, key, false)).includes('"usage"')) throw new StepError('the answer has no usage');
    if (!(await ask(url, key, true)).includes('data: [DONE]')) throw new StepError('the stream has no end');
    await stop(child);
  } finally {
    child.kill('SIGKILL');
  }
}

await runMain(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-smoke-'));
  try {
    await step('Start, answer, stop', () => answerOnce(folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
