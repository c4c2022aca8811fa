// A built gateway in a process of its own, for the scripts that try it out.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StepError } from './steps.mjs';
import { ROOT } from './tree.mjs';

/** What a user runs. */
export const PROGRAM = join(ROOT, 'dist', 'cli', 'main.js');

/** Ports that the system chooses, and no surprises: what the configuration of every such gateway begins with. */
export const BASE_CONFIG = {
  listeners: {
    data: { address: '127.0.0.1:0' },
    admin: { address: '127.0.0.1:0', token: 'env:SLUICE_SCRIPT_TOKEN' },
  },
  settings: { reload_on_change: false },
};

const TOKEN = 'sluice-admin-script0123456789abcdefgh';

/** Starts the gateway with the `sluice.yaml` of a folder; `nodeOptions` are options of Node.js. */
export async function startBuilt(folder, { nodeOptions = [], env = {} } = {}) {
  const surroundings = { PATH: process.env.PATH, SLUICE_SCRIPT_TOKEN: TOKEN, ...env };
  const child = spawn(process.execPath, [...nodeOptions, PROGRAM, 'start'], {
    cwd: folder,
    env: surroundings,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (err = (err + text).slice(-10_000)));
  const ended = once(child, 'exit');
  while (!out.includes('Ctrl-C stops')) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new StepError(`the gateway did not start:\n${err}`);
    await sleep(20);
  }
  const [url] = /http:\/\/[\d.]+:\d+\/v1/.exec(out);
  const [, adminUrl] = /Admin +(http:\/\/[\d.]+:\d+)\//.exec(out);
  return { child, url, adminUrl, ended, errors: () => err };
}

/** Ends it in order, and complains where it does not end well. */
export async function stopBuilt(gateway) {
  gateway.child.kill('SIGTERM');
  const [code] = await gateway.ended;
  if (code !== 0) throw new StepError(`the gateway ended with ${code}: ${gateway.errors()}`);
}

/** What the admin API answers: a document, or a text where it is none. */
export async function adminOf(gateway, path, init) {
  const headers = { authorization: `Bearer ${TOKEN}` };
  const answer = await fetch(`${gateway.adminUrl}${path}`, { ...init, headers });
  if (!answer.ok) throw new StepError(`${path} answered ${answer.status}: ${await answer.text()}`);
  const isJson = answer.headers.get('content-type')?.startsWith('application/json');
  return isJson ? answer.json() : answer.text();
}
