import { describe, expect, it } from 'vitest';
import { etagOf, preconditionOf } from '../../src/admin/preconditions.js';

const view = { id: 1, name: 'a', limits: { b: 1, a: null } };

describe('an entity tag', () => {
  it('is strong, and the same whatever the order of members', () => {
    expect(etagOf(view)).toMatch(/^"[\w-]{22}"$/);
    expect(etagOf({ limits: { a: null, b: 1 }, name: 'a', id: 1 })).toBe(etagOf(view));
    expect(etagOf({ ...view, name: 'b' })).not.toBe(etagOf(view));
  });

  it.each([
    [undefined, true],
    ['*', true],
    [etagOf(view), true],
    [`"other", ${etagOf(view)}`, true],
    ['"other"', false],
    [`W/${etagOf(view)}`, false],
    ['', false],
  ])('If-Match %s lets a change through: %s', (ifMatch, passes) => {
    const check = preconditionOf({ headers: ifMatch === undefined ? {} : { 'if-match': ifMatch } });
    if (passes) return check(view);
    expect(() => check(view)).toThrow(expect.objectContaining({ code: 'precondition_failed', status: 412 }));
  });
});
