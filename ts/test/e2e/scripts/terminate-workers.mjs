// Terminates worker threads in which a data plane serves: `terminate-workers.mjs BRIDGE_URL ROUNDS`. Prints what the
// process held before and after, and how many ports still took connections.

import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { held, openStreams, startBoth } from './plane.mjs';

const STREAMS = 10;

async function serve() {
  const bridge = await import(workerData);
  const { url } = startBoth(bridge, { chunks: 10_000, chunk_gap_ms: 1 });
  setInterval(() => {}, 1_000_000); // a data plane keeps no event loop alive
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads, not a window
  parentPort.postMessage(url);
}

async function isOpen(url) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const open = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return open;
}

async function round(bridgeUrl) {
  const worker = new Worker(new URL(import.meta.url), { workerData: bridgeUrl });
  const [url] = await once(worker, 'message');
  await openStreams(url, STREAMS);
  await worker.terminate();
  return (await isOpen(url)) ? 1 : 0;
}

async function main() {
  const [, , bridgeUrl, rounds] = process.argv;
  await round(bridgeUrl); // the addon's code stays loaded from here on
  await sleep(100);
  const before = held();
  let open = 0;
  for (let done = 0; done < Number(rounds); done += 1) open += await round(bridgeUrl);
  await sleep(100);
  console.log(JSON.stringify({ before, after: held(), open }));
}

await (isMainThread ? main() : serve());
