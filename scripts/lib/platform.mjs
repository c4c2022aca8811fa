// The name of a platform as native npm packages use it.

/** `linux-x64-gnu`, `linux-arm64-musl`, `darwin-arm64`, … of the running Node. */
export function platformName() {
  const base = `${process.platform}-${process.arch}`;
  if (process.platform !== 'linux') return base;
  return `${base}-${hasGlibc() ? 'gnu' : 'musl'}`;
}

function hasGlibc() {
  process.report.excludeNetwork = true; // resolving the names of open sockets can take seconds
  return process.report.getReport().header.glibcVersionRuntime !== undefined;
}
