// Preloaded into a gateway (`node --import`): SIGUSR2 blocks its event loop for five seconds, and says when it is over.

const BLOCKED_MS = 5_000;

process.on('SIGUSR2', () => {
  const begun = performance.now();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCKED_MS);
  process.stderr.write(`blocked for ${performance.now() - begun} ms\n`);
});
