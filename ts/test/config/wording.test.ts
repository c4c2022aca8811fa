import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeValue, formatPath, listChoices, looksSecret, suggestion } from '../../src/config/wording.js';
import { generateAdminToken, generateKeySecret } from '../../src/governance/key-secret.js';

describe('looksSecret', () => {
  it.each([
    'sk-proj-abcdefgh',
    'sk-ant-api03-x',
    'gsk_abcdefgh',
    'xai-abcdefgh',
    'AIzaSyA1234',
    'hf_abc',
    'eyJhbGciOiJIUzI1NiJ9',
    'Bearer sk-abc',
    'AbCdEfGh12345678',
    'd41d8cd98f00b204e9800998ecf8427e',
    'https://user:sk-abc@host/',
  ])('%s', (text) => {
    expect(looksSecret(text)).toBe(true);
  });

  it.each([
    'gpt-4o-2024-08-06',
    'llama-3.3-70b-versatile',
    'accounts/fireworks/models/llama-v3p1-8b-instruct',
    'meta-llama/Llama-3.3-70B-Instruct-Turbo',
    'Qwen/Qwen2.5-VL-72B-Instruct-Turbo',
    'requests_per_minute',
    'task-1',
    '127.0.0.1:8080',
    '2026-12-31T18:00:00Z',
    '25h',
  ])('%s is a plain name', (text) => {
    expect(looksSecret(text)).toBe(false);
  });

  it('knows what the gateway itself generates', () => {
    fc.assert(
      fc.property(fc.constant(null), () =>
        [generateKeySecret(randomBytes), generateAdminToken(randomBytes)].every(looksSecret),
      ),
    );
  });
});

describe('describeValue', () => {
  it.each([
    [undefined, 'nothing'],
    [null, 'nothing'],
    ['', 'an empty string'],
    ['fast', '"fast"'],
    ['a"b', String.raw`"a\"b"`],
    ['x'.repeat(100), `"${'x'.repeat(80)}…"`],
    ['sk-abcdef', 'a string'],
    [5, '5'],
    [true, 'true'],
    [[1], 'a list'],
    [{ a: 1 }, 'a mapping'],
  ])('%j is %s', (value, words) => {
    expect(describeValue(value)).toBe(words);
  });
});

describe('formatPath', () => {
  it.each([
    [[], ''],
    [['models', 'fast', 'targets', 0, 'provider'], 'models.fast.targets[0].provider'],
    [['models', 'gpt-4.1'], 'models["gpt-4.1"]'],
    [['models', 'gpt-*', 'aliases', 1], 'models["gpt-*"].aliases[1]'],
    [['providers', 'sk-abcdef'], 'providers["***"]'],
  ])('%j is %s', (path, text) => {
    expect(formatPath(path)).toBe(text);
  });
});

describe('suggestion', () => {
  const names = ['providers', 'models', 'keys', 'openai', 'groq'];

  it.each([
    ['provider', '; did you mean providers?'],
    ['opneai', '; did you mean openai?'],
    ['GROQ', '; did you mean groq?'],
    ['model', '; did you mean models?'],
    ['xyz', ''],
    ['', ''],
  ])('for %j is %j', (written, words) => {
    expect(suggestion(written, names)).toBe(words);
  });
});

describe('listChoices', () => {
  it.each([
    [[], ''],
    [['a'], 'a'],
    [['a', 'b'], 'a or b'],
    [['a', 'b', 'c'], 'a, b or c'],
    [
      Array.from({ length: 22 }, (_, at) => String(at)),
      '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 or 2 more',
    ],
  ])('%j is %j', (choices, words) => {
    expect(listChoices(choices)).toBe(words);
  });
});
