/** Log lines for people at a terminal, from the JSON lines of the logger. */

/** Properties that are shown elsewhere in the line, or that say nothing at a terminal. */
const SHOWN_ELSEWHERE = new Set(['level', 'time', 'msg', 'err', 'pid', 'hostname', 'event']);

/** `12:03:04 warn  message  key=value`; what is no JSON object stays as it is. */
export function conciseLine(json: string): string {
  const entry = parsed(json);
  if (entry === null) return json.trimEnd();
  const time = typeof entry['time'] === 'string' ? entry['time'].slice(11, 19) : '';
  const level = typeof entry['level'] === 'string' ? entry['level'] : '';
  const details = Object.entries(entry).flatMap(([name, value]) => detail(name, value));
  return [time, level.padEnd(5), messageOf(entry), ...details].filter((part) => part !== '').join(' ');
}

function parsed(json: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function messageOf(entry: Record<string, unknown>): string {
  const message = typeof entry['msg'] === 'string' ? entry['msg'] : '';
  const error = entry['err'] as { message?: unknown } | undefined;
  const cause = typeof error?.message === 'string' && error.message !== message ? error.message : '';
  return [message, cause].filter((part) => part !== '').join(': ');
}

function detail(name: string, value: unknown): string[] {
  if (SHOWN_ELSEWHERE.has(name) || value === null || value === undefined || value === '') return [];
  return [`${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`];
}
