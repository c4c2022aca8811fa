/** Check 77: what the addon refuses, it refuses without repeating a secret, wherever in a document the secret stands. */

import { describe, expect, it } from 'vitest';
import { SnapshotRefused, startDataPlane, startDemoProvider } from '../../src/bridge/index.js';
import { isBuilt } from './support/program.js';

const CANARY = 'sk-canary-addon-W8nK2vQ6';

/** Documents in which a secret stands where something else is expected. */
const WRONG: readonly [string, object, object][] = [
  ['in place of a number', {}, { version: CANARY }],
  ['in place of a list', { listeners: CANARY }, {}],
  ['in place of an object', {}, { settings: CANARY }],
  ['as the name of a variant', {}, { providers: [{ auth: { kind: CANARY } }] }],
  ['as the whole document', {}, [CANARY] as object],
  ['as the name of a dialect', {}, { providers: [{ id: 1, name: 'p', dialect: CANARY }] }],
];

function refusalOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('it was not refused');
}

describe.skipIf(!isBuilt)('check 77: a secret', () => {
  it.each(WRONG)('%s is not repeated', (_, options, snapshot) => {
    const whole = { listeners: [], workers: 1, max_connections: 1, ...options };
    const error = refusalOf(() => startDataPlane(whole, snapshot as never));
    expect(error).toBeInstanceOf(SnapshotRefused);
    const { message, path, code, stack } = error as SnapshotRefused;
    expect(JSON.stringify([message, path, code, stack])).not.toContain('canary');
    expect([code, message.length > 10]).toEqual(['bad_json', true]);
  });

  it('in other options is not repeated either, and what is expected is told', () => {
    const error = refusalOf(() => startDemoProvider({ threads: CANARY } as never)) as SnapshotRefused;
    expect(error.message).toMatch(/^expected u\w+/);
  });
});
