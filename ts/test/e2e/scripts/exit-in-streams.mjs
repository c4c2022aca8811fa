// Ends its process in the middle of streams: `exit-in-streams.mjs BRIDGE_URL WAY EXIT_CODE`

import { HEADERS, openStreams, startBoth } from './plane.mjs';

const STREAMS = 50;

const [, , bridgeUrl, way, code] = process.argv;
const bridge = await import(bridgeUrl);
const { plane, demo, url } = startBoth(bridge, { chunks: 10_000, chunk_gap_ms: 1, threads: 1 });
const exit = () => process.exit(Number(code));

const WAYS = {
  plainly: exit,
  'in the callback of a stream': () => openStreams(url, 1, exit),
  'after the data plane was stopped': () => {
    plane.stop();
    exit();
  },
  'after the provider was stopped': () => {
    demo.stop();
    exit();
  },
  'while it drains': () => {
    plane.setUnready();
    plane.drain();
    exit();
  },
  'with calls in the exit handler': () => {
    process.on('exit', () => {
      plane.activeCount();
      JSON.stringify(plane.stats());
      plane.stop();
    });
    exit();
  },
  'while a load runs': () => {
    // The generator runs on a thread of Node.js, which waits for it.
    const mode = { kind: 'closed', connections: 8 };
    const body = { kind: 'chat', bytes: 100, model: 'any' };
    bridge.runLoad({ url, headers: HEADERS, body, stream: true, mode, duration_ms: 200 }).catch(() => {});
    setTimeout(exit, 20);
  },
  'by an exception': () => {
    process.on('uncaughtException', exit);
    throw new Error('in the middle');
  },
};

// Outside of any promise, so that an exception is one that nobody catches.
await openStreams(url, STREAMS);
setImmediate(() => WAYS[way]());
