import { describe, expect, it } from 'vitest';
import { ROWS, type Row } from '../../../src/cli/bench/rows.js';
import { median, summarise, summariseLane } from '../../../src/cli/bench/summary.js';
import { aligned, csv, markdown, streamLines, tableLines } from '../../../src/cli/bench/table.js';
import { run, times } from './runs.js';

const ROW = ROWS[0] as Row;

/** Three rounds in which a disturbance doubles everybody's time once. */
const RUNS = [1, 2, 1].flatMap((slow, index) => [
  run('direct', index + 1, undefined, { latency: times(5, 50) }),
  run('nginx', index + 1, 20 * slow, { latency: times(25, 80) }),
  run('sluice', index + 1, 16 * slow, { latency: times(21, 90), failed: index }),
]);

describe('median', () => {
  it.each([
    [[], null],
    [[3], 3],
    [[9, 1], 5],
    [[9, 1, 2], 2],
  ])('of %j is %j', (values, expected) => {
    expect(median(values)).toBe(expected);
  });
});

describe('a row', () => {
  it("holds Sluice's figures, and those of the others beside them", () => {
    const summary = summarise(ROW, RUNS);
    expect(summary).toMatchObject({
      row: 'closed-1k',
      body_bytes: 1024,
      connections: 32,
      rounds: 3,
      cpu_us_per_request: 16,
      added_p50_us: 16,
      added_p99_us: 40,
      requests: 300,
      failures: 3,
      nginx: { cpu_us_per_request: 20, added_p50_us: 20, failures: 0 },
      direct: { cpu_us_per_request: null, added_p50_us: null, rss_loaded_mb: null },
      identity: null,
    });
  });

  it('has the ratio within a round, which a disturbance of one round does not change', () => {
    const summary = summarise(ROW, RUNS);
    expect(summary?.ratio_to_nginx_by_round).toEqual([0.8, 0.8, 0.8]);
    expect(summary?.ratio_to_nginx).toBe(0.8);
    expect(summary?.ratio_to_identity).toBeNull();
  });

  it('has no ratio without nginx, and is nothing without Sluice', () => {
    const alone = RUNS.filter((one) => one.lane === 'sluice');
    expect(summarise(ROW, alone)).toMatchObject({ ratio_to_nginx: null, nginx: null, added_p50_us: null });
    expect(
      summarise(
        ROW,
        RUNS.filter((one) => one.lane === 'nginx'),
      ),
    ).toBeNull();
  });

  it('compares a renamed model with the plain one', () => {
    const runs = [run('sluice_identity', 1, 10), run('sluice', 1, 10.4)];
    expect(summarise(ROW, runs)?.ratio_to_identity).toBe(1.04);
  });

  it('takes what a paired run has added from that run', () => {
    const paired = { direct: times(1, 2), direct_requests: 9, added_p50_us: 7, added_p99_us: 8 };
    expect(summarise(ROW, [run('sluice', 1, 10, { paired })])).toMatchObject({
      added_p50_us: 7,
      added_p99_us: 8,
    });
  });

  it('has the figures of streams as differences to the direct run', () => {
    const stream = (scale: number): object => ({
      first_event: times(100 * scale, 200 * scale),
      gap: times(20, 30 * scale),
      transit: times(10 * scale, 20 * scale),
    });
    const runs = [run('direct', 1, undefined, stream(1)), run('sluice', 1, 10, stream(3))];
    expect(summarise(ROW, runs)).toMatchObject({
      first_event_p50_us: 300,
      added_first_event_p50_us: 200,
      added_first_event_p99_us: 400,
      gap_p99_us: 90,
      added_gap_p99_us: 60,
      added_transit_p99_us: 40,
    });
  });

  it('has times by thread, the busiest first', () => {
    expect(Object.entries(summariseLane(RUNS, 'sluice')?.cpu_us_by_thread ?? {})).toEqual([
      ['worker', 15],
      ['a, b', 1],
    ]);
  });
});

describe('the table', () => {
  const lines = tableLines([ROW], RUNS);

  it('has a line per lane', () => {
    expect(lines.slice(1)).toEqual([
      ['closed-1k', 'direct', '2,000', '–', '–', '5', '50', '–', '–', '–', '0'],
      ['closed-1k', 'nginx', '2,000', '20.0', '1.00', '25', '80', '20', '30', '60', '0'],
      ['closed-1k', 'sluice', '2,000', '16.0', '0.80', '21', '90', '16', '40', '60', '3'],
    ]);
    expect(streamLines([ROW], RUNS)).toHaveLength(1);
  });

  it('is aligned on the terminal and well-formed in Markdown', () => {
    const shown = aligned(lines).trimEnd().split('\n');
    expect(new Set(shown.map((line) => line.length)).size).toBe(1);
    expect(markdown(lines).split('\n')[1]).toMatch(/^\| --- \| --- \|( ---: \|){9}$/);
  });

  it('is a line per run in the raw file, whatever threads are called', () => {
    const [headings = '', ...rest] = csv(RUNS).trimEnd().split('\n');
    expect(rest).toHaveLength(RUNS.length);
    const columns = headings.split(',').length;
    expect(rest.map((line) => line.split(',').length)).toEqual(RUNS.map(() => columns));
    expect(rest[1]).toContain('worker=19.000 a__b=1.000');
  });
});
