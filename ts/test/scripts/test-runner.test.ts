import { describe, expect, it } from 'vitest';
import { countMatrix } from '../../../scripts/matrix.mjs';
import { countCargo } from '../../../scripts/test.mjs';
import { formatDuration, run } from '../../../scripts/lib/steps.mjs';

describe('the sum of the tests', () => {
  it('adds up every test binary of a cargo run', () => {
    const output = [
      'running 3 tests',
      'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s',
      'test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s',
    ].join('\n');
    expect(countCargo(output)).toEqual({ passed: 13, failed: 2, skipped: 1 });
    expect(countCargo('')).toEqual({ passed: 0, failed: 0, skipped: 0 });
  });

  it('takes every cell of the matrix for a test, and a run without a last line for a failure', () => {
    expect(countMatrix('anthropic  ✔ ✔ ✘\n\n35/36\n')).toEqual({ passed: 35, failed: 1, skipped: 0 });
    expect(countMatrix('TypeError: no')).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});

describe('run', () => {
  it('hands back the exit code and both streams', async () => {
    const script = "process.stdout.write('out'); process.stderr.write('err'); process.exitCode = 3";
    const { code, output } = await run(process.execPath, ['-e', script], { capture: true });
    expect(code).toBe(3);
    expect(output).toContain('out');
    expect(output).toContain('err');
  });

  it('takes a missing program for a failure', async () => {
    expect(await run('no-such-program-here', [], { capture: true })).toMatchObject({ code: 127 });
  });

  it('takes a killed program for a failure', async () => {
    const { code } = await run(process.execPath, ['-e', "process.kill(process.pid, 'SIGKILL')"], {
      capture: true,
    });
    expect(code).not.toBe(0);
  });
});

describe('formatDuration', () => {
  it.each([
    [1_234, '1.2 s'],
    [59_940, '59.9 s'],
    [125_000, '2 min 05 s'],
  ])('%d ms', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
