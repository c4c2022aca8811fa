import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { registerCheck as register } from '../../src/cli/check.js';
import { runCommand, type Outcome } from './output.js';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-check-'));
  vi.stubEnv('OPENAI_API_KEY', 'sk-canary-openai');
  vi.stubEnv('SLUICE_ADMIN_TOKEN', undefined);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true });
});

function check(text: string, ...args: string[]): Promise<Outcome> {
  const file = join(directory, 'sluice.yaml');
  writeFileSync(file, text);
  return runCommand(register, ['check', '--config', file, ...args]);
}

describe('sluice check', () => {
  it('says what a usable configuration serves', async () => {
    const { code, out, err } = await check(`
data_dir: /var/lib/sluice
providers:
  openai:
  spare: { base_url: "http://127.0.0.1:1/v1", auth: none }
models:
  fast: { aliases: [quick], targets: [{ provider: openai, model: x, weight: 3 }, { provider: spare, model: y }, { provider: spare, tier: 1 }] }
  gpt-*: openai
keys: [{ name: ci, sha256: "${'a'.repeat(64)}" }]`);
    expect([code, err]).toEqual([0, '']);
    expect(out.split('\n').slice(1)).toEqual([
      '  API        127.0.0.1:8080',
      '  Admin      127.0.0.1:8081',
      '  Data       /var/lib/sluice',
      '  Providers  openai      https://api.openai.com/v1, key from OPENAI_API_KEY',
      '             spare       http://127.0.0.1:1/v1, no key',
      '  Models     fast, quick -> openai/x 75% + spare/y 25%, then spare/fast',
      '             gpt-* -> openai',
      '  Keys       ci declared here; more are kept in the database',
    ]);
    expect(out).not.toContain('canary');
  });

  it('prints every problem and fails', async () => {
    const { code, out, err } = await check('workers: x\nmodles: {}\n');
    expect([code, out]).toEqual([1, '']);
    const lines = err.replaceAll(`${directory}/`, '').split('\n');
    expect(lines[0]).toBe(
      'sluice.yaml:1:10: error: workers: found "x", expected a whole number from 0 to 1024',
    );
    expect(lines[1]).toMatch(/^sluice.yaml:2:1: error: modles: .*did you mean models\?$/);
    expect(lines[2]).toBe('sluice.yaml: 2 errors, not usable');
  });

  it('passes with warnings', async () => {
    const { code, out, err } = await check('providers: { openai: { key: sk-canary-in-the-file } }');
    expect(code).toBe(0);
    expect(out).toContain('usable, 1 warning');
    expect(err).toContain('warning: providers.openai.key: found a secret written in this file');
    expect(out + err).not.toContain('canary');
  });

  it('prints JSON', async () => {
    const { code, out } = await check('workers: x', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      problems: [{ line: 1, column: 10, code: 'wrong_type' }],
    });
  });

  it('fails without the file, and differently on a wrong command line', async () => {
    const absent = await runCommand(register, ['check', '--config', join(directory, 'absent.yaml')]);
    expect(absent).toMatchObject({ code: 1, out: '' });
    expect(absent.err).toContain('cannot read the file: it does not exist');
    expect(await runCommand(register, ['check', '--verbose'])).toMatchObject({ code: 2 });
    const help = await runCommand(register, ['check', '--help']);
    expect(help.code).toBe(0);
    expect(help.out).toContain('Exit codes:');
  });
});
