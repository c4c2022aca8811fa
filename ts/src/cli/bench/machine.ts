/** Where and with what a run was made. Nothing in it names the machine. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CpuSource } from './cpu.js';

export interface Machine {
  readonly cpu_model: string;
  readonly cpus: number;
  readonly memory_mb: number;
  readonly os: string;
  readonly arch: string;
  readonly node: string;
  readonly nginx: string | null;
  readonly cpu_time_from: CpuSource;
}

/** The state of the sources, where they are under version control. */
export interface Commit {
  readonly commit: string | null;
  readonly uncommitted_changes: boolean | null;
}

export function describeMachine(nginxVersion: string | undefined, source: CpuSource): Machine {
  return {
    cpu_model: cpuModel(),
    cpus: availableParallelism(),
    memory_mb: Math.round(totalmem() / 2 ** 20),
    os: `${type()} ${release()}`,
    arch: arch(),
    node: process.version,
    nginx: nginxVersion ?? null,
    cpu_time_from: source,
  };
}

export function describeCommit(): Commit {
  const git = (...args: string[]): string | null => {
    const folder = dirname(fileURLToPath(import.meta.url));
    const result = spawnSync('git', args, { cwd: folder, encoding: 'utf8' });
    return result.status === 0 ? result.stdout.trim() : null;
  };
  // Only a clone of Sluice has Sluice's history; an installation may lie inside another repository.
  const tracked = git('ls-files', '--error-unmatch', '../../../ts/src/cli/bench.ts') !== null;
  if (!tracked) return { commit: null, uncommitted_changes: null };
  const changes = git('status', '--porcelain', '--untracked-files=no', ':/');
  return { commit: git('rev-parse', 'HEAD'), uncommitted_changes: changes === null ? null : changes !== '' };
}

/** A label for the folder of a run: the kind of machine, never its name. */
export function defaultLabel(): string {
  return `${slug(cpuModel())}-${availableParallelism()}cpu`;
}

/** Lower-case words joined by hyphens, safe as part of a file name. */
export function slug(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/\((r|tm)\)|\bcpu\b|\bprocessor\b|@.*$/g, ' ')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
}

/** On some ARM machines Node.js knows no model; the architecture has to do. */
function cpuModel(): string {
  const known = cpus()[0]?.model.trim() ?? '';
  return known !== '' && known !== 'unknown' ? known : arch();
}

/** Load of the machine before the run: a busy machine measures itself. */
export function loadAverage(): number | null {
  try {
    return Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]);
  } catch {
    return null;
  }
}
