import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { chosenRows, effortOf } from '../../../src/cli/bench.js';
import { demoFlags } from '../../../src/cli/bench/lab.js';
import { slug } from '../../../src/cli/bench/machine.js';
import { turned } from '../../../src/cli/bench/measure.js';
import { findNginx, prepareNginx, type Ports, type Upstreams } from '../../../src/cli/bench/nginx.js';
import { ROWS, UPSTREAMS, upstreamsOf } from '../../../src/cli/bench/rows.js';
import { freshSecrets, sluiceConfig } from '../../../src/cli/bench/sluice.js';
import { loadConfig } from '../../../src/config/load.js';
import { CERTIFICATES } from '../../config/certificates.js';
import { surroundings } from '../../config/surroundings.js';

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const certificateFile = join(folder, 'tls.pem');
const names = upstreamsOf(ROWS);
const upstreams: Upstreams = new Map(
  names.map((name) => [
    name,
    { address: '127.0.0.1:9', certificateFile: name === 'tls' ? certificateFile : null },
  ]),
);
const ports: Ports = new Map(names.map((name, index) => [name, 9100 + index]));

describe('rows', () => {
  it('need every upstream there is', () => {
    expect(names.toSorted()).toEqual(Object.keys(UPSTREAMS).toSorted());
  });

  it('have names of their own, lanes, and upstreams that exist', () => {
    expect(new Set(ROWS.map((row) => row.name)).size).toBe(ROWS.length);
    for (const row of ROWS) {
      expect(row.lanes).toContain('sluice');
      expect(UPSTREAMS).toHaveProperty(row.upstream);
      expect(row.mode === 'open').toBe(row.rate !== undefined);
    }
  });

  it.each([
    [{}, true, ROWS.length, 'direct,nginx,sluice'],
    [{}, false, ROWS.length, 'direct,sluice'],
    [
      { subjects: ['direct'] as const },
      true,
      ROWS.filter((row) => row.lanes.includes('direct')).length,
      'direct',
    ],
  ])('are chosen by %j, nginx installed: %j', (flags, withNginx, count, lanes) => {
    const rows = chosenRows({ quick: false, out: '', loadThreads: 1, ...flags }, withNginx);
    expect(rows).toHaveLength(count);
    expect(rows[0]?.lanes.join()).toBe(lanes);
  });

  it('begin with another lane each round', () => {
    const rounds = [1, 2, 3].map((round) => turned(['a', 'b', 'c'], round).join(''));
    expect(rounds).toEqual(['bca', 'cab', 'abc']);
  });
});

it.each([
  [{ quick: false }, { seconds: 4, rounds: 5, asRowsSay: true }],
  [{ quick: true }, { seconds: 1, rounds: 1, asRowsSay: false }],
  [
    { quick: true, seconds: 2, rounds: 3 },
    { seconds: 2, rounds: 3 },
  ],
])('flags %j give an effort', (flags, expected) => {
  expect(effortOf({ out: '', loadThreads: 1, ...flags })).toMatchObject(expected);
});

it.each([
  ['Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz', 'intel-xeon-platinum-8259cl'],
  ['AMD EPYC 7R13 Processor', 'amd-epyc-7r13'],
  ['t3.xlarge', 't3-xlarge'],
  ['../..', ''],
])('the label of %j is %j', (text, expected) => {
  expect(slug(text)).toBe(expected);
});

it('upstreams are started with the flags of the demo provider', () => {
  expect(demoFlags('plain')).toEqual([]);
  expect(demoFlags('tls')).toEqual(['--tls']);
  expect(demoFlags('typing')).toEqual(['--chunks', '50', '--chunk-gap-ms', '20', '--stamp-chunks']);
});

it("Sluice's configuration is accepted without a remark", () => {
  const setup = { folder, dataPort: 18_080, adminPort: 18_081, workers: 'one' as const };
  const files = {
    '/sluice.yaml': JSON.stringify(sluiceConfig(setup, upstreams)),
    [certificateFile]: CERTIFICATES.certificate,
  };
  const { config, problems } = loadConfig('/sluice.yaml', surroundings({ ...freshSecrets() }, files));
  expect(problems).toEqual([]);
  expect(config?.providers).toHaveLength(names.length);
});

describe.skipIf(findNginx() === undefined)('with nginx', () => {
  it.each([1, 'auto'] as const)('its configuration is accepted, %j worker processes', (workers) => {
    writeFileSync(certificateFile, CERTIFICATES.certificate);
    const args = prepareNginx(join(folder, `nginx-${workers}`), workers, ports, upstreams);
    const result = spawnSync(findNginx()?.program ?? '', ['-t', ...args], { encoding: 'utf8' });
    expect(result.stderr).toContain('test is successful');
  });
});
