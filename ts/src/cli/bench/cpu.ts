/**
 * Processor time and memory of processes, from `/proc`. On systems without it there is none, and the bench says so.
 *
 * `schedstat` counts the nanoseconds a thread has run, in the kernel and outside it; `stat` counts ticks of 10 ms and is
 * used where the kernel keeps no `schedstat`.
 */

import { readdirSync, readFileSync } from 'node:fs';

/** Nanoseconds of one tick of `stat`: `USER_HZ` is 100 on every platform Linux offers to programs. */
const TICK_NS = 10_000_000;
/** Where fields of `stat` stand, counted from the one after the command's name (proc(5): 4, 14, 15). */
const STAT_PARENT = 1;
const STAT_USER = 11;
const STAT_SYSTEM = 12;
const PAGE_KB = 1024;

export type CpuSource = 'schedstat' | 'stat' | 'none';

/** Nanoseconds of processor time by thread: `pid/tid name`. */
export type CpuTimes = ReadonlyMap<string, number>;

/** Where processor times come from on this machine. */
export function cpuSource(): CpuSource {
  if (read('/proc/self/schedstat') !== undefined) return 'schedstat';
  return read('/proc/self/stat') === undefined ? 'none' : 'stat';
}

/** Processor time of all threads of the processes. */
export function cpuTimes(pids: readonly number[], source: CpuSource): CpuTimes {
  const times = new Map<string, number>();
  for (const pid of pids) {
    for (const tid of list(`/proc/${pid}/task`)) {
      const folder = `/proc/${pid}/task/${tid}`;
      const time =
        source === 'schedstat' ? runTime(read(`${folder}/schedstat`)) : tickTime(read(`${folder}/stat`));
      const name = read(`${folder}/comm`)?.trim() ?? '';
      if (time !== undefined) times.set(`${pid}/${tid} ${name}`, time);
    }
  }
  return times;
}

/** Processor time between two readings, whole and by the name of the thread, nanoseconds. */
export function cpuBetween(
  before: CpuTimes,
  after: CpuTimes,
): { total: number; byThread: Map<string, number> } {
  const byThread = new Map<string, number>();
  let total = 0;
  for (const [thread, time] of after) {
    const spent = time - (before.get(thread) ?? 0);
    const name = thread.slice(thread.indexOf(' ') + 1);
    byThread.set(name, (byThread.get(name) ?? 0) + spent);
    total += spent;
  }
  return { total, byThread };
}

/** Resident memory of the processes together, KiB. */
export function residentKb(pids: readonly number[]): number | undefined {
  const sizes = pids.map((pid) => /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1]);
  const known = sizes.filter((size) => size !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, size) => sum + Number(size), 0);
}

/** KiB as MiB with one decimal. */
export function asMb(kb: number): number {
  return Math.round((kb / PAGE_KB) * 10) / 10;
}

/** The process and those it has started. */
export function familyOf(pid: number): number[] {
  const children = list('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((other) => parentOf(read(`/proc/${other}/stat`)) === pid);
  return [pid, ...children.flatMap(familyOf)];
}

/** Nanoseconds a thread has run, from the text of its `schedstat`. */
export function runTime(schedstat: string | undefined): number | undefined {
  const first = schedstat?.split(' ')[0];
  return first === undefined || first === '' ? undefined : Number(first);
}

/** Nanoseconds a thread has run, from the text of its `stat`. */
export function tickTime(stat: string | undefined): number | undefined {
  const fields = statFields(stat);
  return fields === undefined
    ? undefined
    : (Number(fields[STAT_USER]) + Number(fields[STAT_SYSTEM])) * TICK_NS;
}

/** The parent's id, from the text of a process's `stat`. */
export function parentOf(stat: string | undefined): number | undefined {
  const fields = statFields(stat);
  return fields === undefined ? undefined : Number(fields[STAT_PARENT]);
}

/** The fields after the command's name, which is in parentheses and may hold anything, parentheses too. */
function statFields(stat: string | undefined): string[] | undefined {
  const end = stat?.lastIndexOf(') ') ?? -1;
  return stat === undefined || end < 0 ? undefined : stat.slice(end + 2).split(' ');
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process may end between listing and reading.
    return undefined;
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
