/** The commands as they are built: a demo provider that answers, and a bench of one short run. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const MAIN = resolve(import.meta.dirname, '../../../../dist/cli/main.js');
const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-run-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Starts a demo provider and returns its first line and what stops it. */
async function demoProvider(...flags: string[]): Promise<{ line: string; stop(): Promise<number | null> }> {
  const child = spawn(process.execPath, [MAIN, 'demo-provider', '--port', '0', ...flags]);
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').once('data', resolve);
    child.once('exit', () => reject(new Error('it ended')));
  });
  const stop = async (): Promise<number | null> => {
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    return ended;
  };
  return { line, stop };
}

describe('sluice demo-provider', () => {
  it('says where it listens, answers, and stops at a signal', async () => {
    const { line, stop } = await demoProvider('--json');
    const { address } = JSON.parse(line) as { address: string };
    const body = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Hello' }] });
    const response = await fetch(`http://${address}/v1/chat/completions`, { method: 'POST', body });
    expect(await response.json()).toMatchObject({ object: 'chat.completion', model: 'demo' });
    expect(await stop()).toBe(0);
  });

  it('greets with a curl line for its address', async () => {
    const { line, stop } = await demoProvider('--delay-ms', '5');
    expect(line).toMatch(
      /listens on http:\/\/127\.0\.0\.1:\d+\/v1\.[\s\S]*curl http:\/\/127\.0\.0\.1:\d+\/v1\/chat/,
    );
    await stop();
  });

  it('gives the certificate to trust', async () => {
    const file = join(folder, 'demo.pem');
    const { line, stop } = await demoProvider('--json', '--certificate-file', file);
    const { certificate_pem } = JSON.parse(line) as { certificate_pem: string };
    expect(certificate_pem).toContain('BEGIN CERTIFICATE');
    expect(readFileSync(file, 'utf8')).toBe(certificate_pem);
    await stop();
  });
});

describe('sluice bench', () => {
  it('measures, prints the table and writes the run down', { timeout: 60_000 }, () => {
    const flags = [
      '--quick',
      '--rows',
      'closed-1k',
      '--seconds',
      '0.3',
      '--out',
      folder,
      '--label',
      'Test Kind',
    ];
    const result = spawnSync(process.execPath, [MAIN, 'bench', ...flags], {
      encoding: 'utf8',
      timeout: 50_000,
    });
    expect(result.stderr).toContain('Written to');
    expect(result.status).toBe(0);
    expect(result.stdout).toMatch(/closed-1k +sluice/);
    const run = join(folder, readdirSync(folder).find((name) => name.endsWith('-test-kind')) ?? '');
    expect(readdirSync(run).toSorted()).toEqual(['README.md', 'raw.csv', 'summary.json']);
    const summary = JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8')) as { rows: object[] };
    expect(summary.rows).toMatchObject([
      { row: 'closed-1k', body_bytes: 1024, connections: 32, failures: 0 },
    ]);
    expect(JSON.stringify(summary)).not.toContain(folder);
  });
});
