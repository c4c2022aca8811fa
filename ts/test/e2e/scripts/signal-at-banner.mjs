// Preloaded into a gateway (`node --import`): SIGTERM arrives the moment it has said that it serves.

const write = process.stdout.write.bind(process.stdout);

process.stdout.write = (...args) => {
  const written = write(...args);
  process.kill(process.pid, 'SIGTERM');
  return written;
};
