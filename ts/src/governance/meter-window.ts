/** The time a budget or a rate limit is over, as people write it and as the data plane takes it. */

/** Units of a calendar. */
export const CALENDAR_UNITS = ['hour', 'day', 'week', 'month', 'quarter', 'year'] as const;
export type CalendarUnit = (typeof CALENDAR_UNITS)[number];

/** How the windows of a limit follow each other. */
export const WINDOW_KINDS = ['calendar', 'fixed', 'sliding', 'rate'] as const;
export type WindowKind = (typeof WINDOW_KINDS)[number];

/** A window. Times are milliseconds. */
export type MeterWindow =
  | { readonly kind: 'rate'; readonly periodMs: number }
  | { readonly kind: 'fixed'; readonly periodMs: number }
  | { readonly kind: 'sliding'; readonly periodMs: number }
  | { readonly kind: 'calendar'; readonly unit: CalendarUnit; readonly timeZone: string }
  | { readonly kind: 'ever' };

/** Longest duration of a window: ten years and a bit. */
export const MAX_WINDOW_MS = 3_660 * 86_400_000;

/** Longest period of a bucket that refills evenly: what it lets through at once grows with it. */
export const MAX_RATE_WINDOW_MS = 86_400_000;

/** From this length on, a window is restored after a restart, and its bounds are whole minutes like those of the ledger. */
export const RESTORED_FROM_MS = 3_600_000;

/** The time zone of calendars that name none. */
export const DEFAULT_TIME_ZONE = 'UTC';

const MS_PER_MINUTE = 60_000;

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  s: 1_000,
  m: MS_PER_MINUTE,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Lengths of the named units that always have the same. */
const MS_PER_NAME: Readonly<Record<string, number>> = {
  second: 1_000,
  minute: MS_PER_MINUTE,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
};

/** What a window is read from. */
export interface WrittenWindow {
  readonly window: string;
  readonly kind?: WindowKind | undefined;
  readonly timeZone?: string | undefined;
}

/** Why a window cannot be used: which of its parts, what was found there and what was expected. */
export interface WindowProblem {
  readonly field: 'window' | 'kind' | 'time_zone';
  readonly found: string;
  readonly expected: string;
  /** Words one of which was perhaps meant. */
  readonly choices?: readonly string[];
}

/** Names of windows without a length in numbers, for suggestions. */
export const WINDOW_NAMES: readonly string[] = [
  ...new Set([...Object.keys(MS_PER_NAME), ...CALENDAR_UNITS, 'ever']),
];

/** Words for what a window is written as. */
export const WINDOW_EXPECTED =
  'second, minute, hour, day, week, month, quarter, year, ever, or a duration such as 30s, 5m, 12h or 30d';

/** Whether the text is a window at all. */
export function isWindowText(text: string): boolean {
  return WINDOW_NAMES.includes(text) || lengthOf(text) !== null;
}

/** The window, or what is wrong. `money` must be summed over whole minutes. */
export function readWindow(written: WrittenWindow, money: boolean): MeterWindow | WindowProblem {
  const { window: text, timeZone } = written;
  if (!isWindowText(text))
    return {
      field: 'window',
      found: JSON.stringify(text),
      expected: WINDOW_EXPECTED,
      choices: WINDOW_NAMES,
    };
  const kind = written.kind ?? usualKind(text, money);
  if (timeZone !== undefined && kind !== 'calendar')
    return { field: 'time_zone', found: 'a time zone', expected: 'none but for windows of a calendar' };
  if (text === 'ever') return everWindow(written);
  return kind === 'calendar'
    ? calendarWindow(text, timeZone ?? DEFAULT_TIME_ZONE)
    : periodWindow(text, kind, money);
}

/** The window as it is written; {@link readWindow} gives the same one back. */
export function writeWindow(window: MeterWindow): {
  readonly window: string;
  readonly kind?: WindowKind;
  readonly timeZone?: string;
} {
  if (window.kind === 'ever') return { window: 'ever' };
  if (window.kind === 'calendar') return { window: window.unit, kind: 'calendar', timeZone: window.timeZone };
  return { window: durationText(window.periodMs), kind: window.kind };
}

/** The window in a word or two, for the name of a limit that has none: `month`, `1m`, `30d-sliding`. */
export function windowName(window: MeterWindow): string {
  if (window.kind === 'ever') return 'ever';
  if (window.kind === 'calendar') return window.unit;
  const text = durationText(window.periodMs);
  return window.kind === 'sliding' ? `${text}-sliding` : text;
}

/** Names of time zones that may have been meant. */
export function timeZoneNames(): readonly string[] {
  return [DEFAULT_TIME_ZONE, ...Intl.supportedValuesOf('timeZone')];
}

/** Calendars for their named units; otherwise what keeps a rate even, and sums where a window is long or of money. */
function usualKind(text: string, money: boolean): WindowKind {
  if ((CALENDAR_UNITS as readonly string[]).includes(text)) return 'calendar';
  const length = lengthOf(text) ?? MAX_WINDOW_MS;
  return money || length >= RESTORED_FROM_MS ? 'fixed' : 'rate';
}

function everWindow({ kind }: WrittenWindow): MeterWindow | WindowProblem {
  if (kind === undefined) return { kind: 'ever' };
  return { field: 'kind', found: kind, expected: 'none, since the window is all time' };
}

function calendarWindow(text: string, timeZone: string): MeterWindow | WindowProblem {
  const unit = CALENDAR_UNITS.find((known) => known === text);
  if (unit === undefined)
    return { field: 'kind', found: `calendar with the window ${text}`, expected: 'fixed, sliding or rate' };
  const known = knownTimeZone(timeZone);
  if (known !== null) return { kind: 'calendar', unit, timeZone: known };
  return {
    field: 'time_zone',
    found: JSON.stringify(timeZone),
    expected: 'a name of the IANA time zone database such as Europe/Berlin, or UTC',
    choices: timeZoneNames(),
  };
}

function periodWindow(
  text: string,
  kind: Exclude<WindowKind, 'calendar'>,
  money: boolean,
): MeterWindow | WindowProblem {
  const periodMs = lengthOf(text);
  const found = `the window ${text}`;
  if (periodMs === null)
    return { field: 'kind', found: `${kind} with ${found}`, expected: 'calendar, or a window of one length' };
  if (kind === 'rate' && money)
    return { field: 'kind', found: kind, expected: 'calendar, fixed or sliding for a budget' };
  if (kind === 'rate' && periodMs > MAX_RATE_WINDOW_MS)
    return { field: 'kind', found: `rate with ${found}`, expected: 'at most a day, or another kind' };
  if ((money || periodMs >= RESTORED_FROM_MS) && periodMs % MS_PER_MINUTE !== 0)
    return { field: 'window', found: text, expected: 'whole minutes' };
  return { kind, periodMs };
}

/** Milliseconds; null where the text is no window of one length, or one beyond {@link MAX_WINDOW_MS}. */
function lengthOf(text: string): number | null {
  if (Object.hasOwn(MS_PER_NAME, text)) return MS_PER_NAME[text] ?? null;
  const match = /^([1-9]\d{0,8})([smhdw])$/.exec(text);
  if (match === null) return null;
  const total = Number(match[1]) * (MS_PER_UNIT[match[2] ?? ''] ?? 0);
  return total <= MAX_WINDOW_MS ? total : null;
}

/** In the largest unit that divides it. */
function durationText(ms: number): string {
  const [unit = 's', size = 1_000] =
    Object.entries(MS_PER_UNIT)
      .toReversed()
      .find(([name, length]) => name !== 'w' && ms % length === 0) ?? [];
  return `${ms / size}${unit}`;
}

/** Offsets such as `+01:00` are none: they know no daylight saving time, which is what a name is asked for. */
function knownTimeZone(text: string): string | null {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+){0,2}$/.test(text)) return null;
  try {
    Intl.DateTimeFormat('en', { timeZone: text });
    return text;
  } catch {
    return null;
  }
}
