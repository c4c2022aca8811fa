// Starts and stops a data plane and a provider again and again, with a request and a stream under way in each round:
// `start-stop.mjs BRIDGE_URL ROUNDS`. Prints what the process held after the first rounds and in the end.

import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { chat, held, openStreams, startBoth } from './plane.mjs';

/** Rounds before the first measurement, in which allocators and Node.js itself grow to their size. */
const WARM_UP = 30;

const [, , bridgeUrl, rounds] = process.argv;
const bridge = await import(bridgeUrl);

async function round() {
  const { plane, demo, url } = startBoth(bridge, { chunks: 1_000, chunk_gap_ms: 5 });
  const agent = new Agent({ keepAlive: true }); // a connection that is idle when the end comes
  const { status } = await chat(url, { agent });
  if (status !== 200) throw new Error(`answered ${status}`);
  await openStreams(url, 2);
  plane.stop();
  demo.stop();
  agent.destroy();
}

async function settled() {
  globalThis.gc?.();
  await sleep(100);
  return held();
}

for (let done = 0; done < WARM_UP; done += 1) await round();
const before = await settled();
const begun = performance.now();
for (let done = 0; done < Number(rounds); done += 1) await round();
const ms = performance.now() - begun;
console.log(JSON.stringify({ before, after: await settled(), ms }));
