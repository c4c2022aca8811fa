import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  METER_MODES,
  REFUSAL_STATUSES,
  TOKEN_KINDS,
  type MeterRule,
} from '../../src/governance/meter-rule.js';
import {
  formatBudgetUsd,
  parseBudgetUsd,
  readBudget,
  readRateLimit,
  writeRule,
  type WrittenBudget,
  type WrittenRateLimit,
} from '../../src/governance/meter-text.js';
import { CALENDAR_UNITS } from '../../src/governance/meter-window.js';

function budget(written: WrittenBudget): MeterRule {
  const { rule, problems } = readBudget(written);
  expect(problems).toEqual([]);
  return rule!;
}

function rate(written: WrittenRateLimit): MeterRule {
  const { rule, problems } = readRateLimit(written);
  expect(problems).toEqual([]);
  return rule!;
}

describe('budgets in USD', () => {
  it.each<[string | number, number | null]>([
    [5, 5_000_000],
    ['5', 5_000_000],
    ['49.90', 49_900_000],
    [0.1, 100_000],
    [0.000001, 1],
    ['0.000001', 1],
    [9_000_000, 9_000_000_000_000],
    ['9000000.000001', null],
    [0, null],
    ['0.0000001', null],
    [1e-7, null],
    ['-1', null],
    ['1e3', null],
    ['', null],
    [Number.NaN, null],
  ])('%j is %j micro-USD', (usd, micro) => {
    expect(parseBudgetUsd(usd)).toBe(micro);
  });

  it('are exact: check 93: whole micro-USD and back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9_000_000_000_000 }), (micro) => {
        expect(parseBudgetUsd(formatBudgetUsd(micro))).toBe(micro);
      }),
    );
  });
});

describe('windows', () => {
  it('of budgets are calendars by name and fixed by duration', () => {
    const windowOf = (written: Partial<WrittenBudget>) =>
      budget({ usd: 1, window: 'month', ...written }).window;
    expect(windowOf({})).toEqual({ kind: 'calendar', unit: 'month', timeZone: 'UTC' });
    expect(windowOf({ window: 'year', time_zone: 'Europe/Berlin' })).toEqual({
      kind: 'calendar',
      unit: 'year',
      timeZone: 'Europe/Berlin',
    });
    expect(windowOf({ window: 'minute' })).toEqual({ kind: 'fixed', periodMs: 60_000 });
    expect(windowOf({ window: '30d' })).toEqual({ kind: 'fixed', periodMs: 30 * 86_400_000 });
    expect(windowOf({ window: '30d', kind: 'sliding' })).toEqual({
      kind: 'sliding',
      periodMs: 30 * 86_400_000,
    });
    expect(windowOf({ window: 'week', kind: 'fixed' })).toEqual({ kind: 'fixed', periodMs: 7 * 86_400_000 });
    expect(windowOf({ window: 'ever' })).toEqual({ kind: 'ever' });
  });

  it('of rate limits under an hour refill evenly', () => {
    const windowOf = (window: string) => rate({ requests: 1, window }).window;
    expect(windowOf('second')).toEqual({ kind: 'rate', periodMs: 1_000 });
    expect(windowOf('1m')).toEqual({ kind: 'rate', periodMs: 60_000 });
    expect(windowOf('1h')).toEqual({ kind: 'fixed', periodMs: 3_600_000 });
    expect(windowOf('hour')).toEqual({ kind: 'calendar', unit: 'hour', timeZone: 'UTC' });
    expect(rate({ requests: 1, window: '1m', kind: 'fixed' }).window).toEqual({
      kind: 'fixed',
      periodMs: 60_000,
    });
  });
});

describe('names', () => {
  it('are made of what is limited where none is given', () => {
    expect(budget({ usd: 1, window: 'month' }).name).toBe('usd/month');
    expect(budget({ usd: 1, window: '30d', kind: 'sliding' }).name).toBe('usd/30d-sliding');
    expect(rate({ weighted_tokens: { input: 1, limit: 9 }, window: 'day' }).name).toBe('weighted_tokens/day');
    expect(rate({ concurrency: 4 }).name).toBe('concurrency');
    expect(budget({ name: 'yearly', usd: 1, window: 'year' }).name).toBe('yearly');
  });
});

describe('weights', () => {
  const times = (count: number, weight: number) => Array.from({ length: count }, () => weight);
  const weightsOf = (written: WrittenRateLimit) => {
    const { measure } = rate({ window: 'day', ...written });
    return 'weights' in measure ? Object.values(measure.weights) : [];
  };

  it('count every kind of the tokens that are named', () => {
    expect(weightsOf({ tokens: 5 })).toEqual(times(10, 1_000));
    expect(weightsOf({ input_tokens: 5 })).toEqual([...times(6, 1_000), ...times(4, 0)]);
    expect(weightsOf({ output_tokens: 5 })).toEqual([...times(6, 0), ...times(4, 1_000)]);
  });

  it('of kinds that are not given are those of the prompt or the answer', () => {
    const weighted_tokens = {
      input: 1,
      cached_input: 0.1,
      cache_write: 1.25,
      output: 5,
      reasoning: 0,
      limit: 9,
    };
    expect(weightsOf({ weighted_tokens })).toEqual([
      1_000, 100, 1_250, 1_250, 1_000, 1_000, 5_000, 0, 5_000, 5_000,
    ]);
  });
});

describe('a rule', () => {
  const common = fc.record({
    name: fc.constantFrom('monthly', 'a/b', 'x.1'),
    mode: fc.constantFrom(...METER_MODES),
    status: fc.constantFrom(...REFUSAL_STATUSES),
  });
  const windows = fc.oneof(
    fc.constantFrom(...CALENDAR_UNITS).map((window) => ({ window, time_zone: 'Asia/Kolkata' })),
    fc.record({
      window: fc.integer({ min: 1, max: 3_660 }).map((days) => `${days}d`),
      kind: fc.constantFrom('fixed' as const, 'sliding' as const),
    }),
    fc
      .integer({ min: 1, max: 9_999 })
      .map((minutes) => ({ window: `${minutes}m`, kind: 'sliding' as const })),
    fc.constant({ window: 'ever' }),
  );
  const amounts = fc.integer({ min: 1, max: 1_000_000 });
  const budgets = fc
    .tuple(common, windows, amounts)
    .map(([rest, window, usd]): WrittenBudget => ({ ...rest, ...window, usd: usd / 1_000 }));
  const weight = fc.integer({ min: 0, max: 1_000_000 }).map((thousandths) => thousandths / 1_000);
  const measures = fc.oneof(
    fc.constantFrom('requests', 'tokens', 'input_tokens', 'output_tokens').map((name) => ({ [name]: 5 })),
    fc
      .dictionary(fc.constantFrom(...TOKEN_KINDS), weight)
      .map((weights) => ({ weighted_tokens: { ...weights, input: 1, limit: 7 } })),
  );
  const limits = fc
    .tuple(common, windows, measures)
    .map(([rest, window, measure]): WrittenRateLimit => ({ ...rest, ...window, ...measure }));

  it('is the same after it was written and read again', () => {
    fc.assert(
      fc.property(fc.oneof(budgets, limits), (written) => {
        const read = (one: WrittenBudget | WrittenRateLimit) => ('usd' in one ? budget(one) : rate(one));
        const rule = read(written);
        expect(read(JSON.parse(JSON.stringify(writeRule(rule))) as WrittenBudget)).toEqual(rule);
      }),
    );
    const rule = rate({ concurrency: 4, mode: 'soft' });
    expect(rate(writeRule(rule) as WrittenRateLimit)).toEqual(rule);
  });
});
