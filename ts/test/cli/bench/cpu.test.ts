import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import {
  cpuBetween,
  cpuSource,
  cpuTimes,
  familyOf,
  parentOf,
  residentKb,
  runTime,
  tickTime,
} from '../../../src/cli/bench/cpu.js';

const STAT = '42 (a (b) c) S 7 42 42 0 -1 4194304 100 0 0 0 12 34 0 0 20 0 1 0 100 0 0';

describe('the texts of /proc', () => {
  it.each([
    ['123456789 55 7\n', 123_456_789],
    ['0 0 0\n', 0],
    ['', undefined],
    [undefined, undefined],
  ])('schedstat %j', (text, expected) => {
    expect(runTime(text)).toBe(expected);
  });

  it('stat, with a name that holds parentheses and spaces', () => {
    expect(tickTime(STAT)).toBe((12 + 34) * 10_000_000);
    expect(parentOf(STAT)).toBe(7);
    expect(tickTime('nonsense')).toBeUndefined();
  });
});

it('time is summed by thread name, and threads that are new count from nothing', () => {
  const before = new Map([
    ['1/1 main', 100],
    ['1/2 worker', 50],
    ['1/3 gone', 70],
  ]);
  const after = new Map([
    ['1/1 main', 130],
    ['1/2 worker', 60],
    ['2/4 worker', 5],
  ]);
  const { total, byThread } = cpuBetween(before, after);
  expect(total).toBe(45);
  expect(Object.fromEntries(byThread)).toEqual({ main: 30, worker: 15 });
});

describe.skipIf(cpuSource() === 'none')('a real process', () => {
  it.each(['schedstat', 'stat'] as const)('has used as much time as it says, by %s', (source) => {
    const before = cpuTimes([process.pid], source);
    const spent = process.cpuUsage();
    while (process.cpuUsage(spent).user < 150_000);
    const used = process.cpuUsage(spent);
    const { total } = cpuBetween(before, cpuTimes([process.pid], source));
    const expected = (used.user + used.system) * 1000;
    expect(total).toBeGreaterThan(expected * 0.7);
    expect(total).toBeLessThan(expected * 1.3 + 30_000_000);
  });

  it('is found with its children, and has memory', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    expect(familyOf(process.pid)).toContain(child.pid);
    expect(residentKb([process.pid])).toBeGreaterThan(10_000);
    child.kill();
    await new Promise((resolve) => child.on('exit', resolve));
    expect(familyOf(process.pid)).not.toContain(child.pid);
    expect(residentKb([child.pid ?? -1])).toBeUndefined();
  });
});
