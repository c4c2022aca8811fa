// The name of a platform as native npm packages use it.

import { StepError } from './steps.mjs';

const CPUS = { x86_64: 'x64', aarch64: 'arm64' };

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

/**
 * A Rust target as npm sees it.
 *
 * @param {string} target
 * @returns {{ name: string, os: string, cpu: string, libc?: string }}
 */
export function platformOf(target) {
  const [architecture, ...rest] = target.split('-');
  const cpu = CPUS[architecture];
  const system = rest.join('-');
  if (cpu !== undefined && system === 'apple-darwin') return { name: `darwin-${cpu}`, os: 'darwin', cpu };
  const libc = { 'unknown-linux-gnu': 'glibc', 'unknown-linux-musl': 'musl' }[system];
  if (cpu === undefined || libc === undefined) throw new StepError(`${target} has no name on npm`);
  return { name: `linux-${cpu}-${libc === 'musl' ? 'musl' : 'gnu'}`, os: 'linux', cpu, libc };
}
