import { describe, expect, it } from 'vitest';
import { createLogger, redactText } from '../../src/telemetry/index.js';

/** The lines that logging produced. */
function logged(
  write: (logger: ReturnType<typeof createLogger>) => void,
  level: 'debug' | 'info' = 'debug',
): string[] {
  const lines: string[] = [];
  write(createLogger(level, { write: (line) => void lines.push(line) }));
  return lines;
}

const KEY = `sk-slc-${'a'.repeat(43)}`;

describe('a secret', () => {
  const places: [string, object][] = [
    ['authorization', { authorization: `Bearer ${KEY}` }],
    ['a header', { headers: { authorization: KEY } }],
    ['a request header', { req: { headers: { 'x-api-key': KEY } } }],
    ['a property', { secret: KEY }],
    ['a nested property', { key: { secret: KEY } }],
    ['a provider', { providers: { openai: { api_key: KEY } } }],
    ['a cookie', { headers: { cookie: KEY, 'set-cookie': KEY } }],
    ['an error', { err: new Error(`Incorrect API key provided: ${KEY}`) }],
  ];
  it.each(places)('in %s is replaced', (_, fields) => {
    const [line] = logged((logger) => logger.warn(fields, 'something happened'));
    expect(line).toContain('***');
    expect(line).not.toContain('aaaaaaaa');
  });

  it('in a message or its arguments is replaced', () => {
    const lines = logged((logger) => {
      logger.info(`got ${KEY}`);
      logger.info({ a: 1 }, `got ${KEY}`);
      logger.info('got %s', KEY);
    });
    expect(lines.join()).not.toContain('aaaaaaaa');
    expect(lines[1]).toContain('"a":1');
  });
});

describe('redactText', () => {
  it.each([
    ['Incorrect API key provided: sk-proj-1234567890.', 'Incorrect API key provided: ***.'],
    ['authorization: Bearer abc.def-ghi', 'authorization: Bearer ***'],
    ['token sluice-admin-0123456789', 'token ***'],
    ['key=AIzaSyA0123456789012345678901234567890', 'key=***'],
    ['the task-based approach to risk-free desk-work', 'the task-based approach to risk-free desk-work'],
    ['a bearer of news', 'a bearer of news'],
  ])('%j becomes %j', (text, expected) => expect(redactText(text)).toBe(expected));
});

describe('a line', () => {
  it('is JSON with the level by name and an ISO time', () => {
    const [line] = logged((logger) => logger.warn({ key_id: 5 }, 'hello'));
    expect(JSON.parse(line!)).toMatchObject({ level: 'warn', key_id: 5, msg: 'hello' });
    expect((JSON.parse(line!) as { time: string }).time).toMatch(/^\d{4}-\d{2}-\d{2}T.*Z$/);
  });

  it('below the level is not written', () => {
    expect(logged((logger) => logger.debug('quiet'), 'info')).toEqual([]);
  });

  it('of an error keeps its type, code and stack', () => {
    const error = Object.assign(new TypeError('broken'), { code: 'E_BROKEN' });
    const [line] = logged((logger) => logger.error({ err: error }, 'failed'));
    const { err } = JSON.parse(line!) as { err: Record<string, string> };
    expect(err).toMatchObject({ type: 'TypeError', message: 'broken', code: 'E_BROKEN' });
    expect(err['stack']).toContain('logger.test');
  });
});
