import { describe, expect, it } from 'vitest';
import type { Credential } from '../../src/credentials/exchange.js';
import { CredentialKeeper } from '../../src/credentials/index.js';
import type { CredentialSource } from '../../src/governance/credential-source.js';

const source = (name: string): CredentialSource => ({ kind: 'google_instance', url: `http://${name}` });
const ONE = source('one');
const TWO = source('two');

/** A keeper whose time, chance and answers are the test's. */
class Harness {
  now = 1_000_000;
  answer: (source: CredentialSource) => Credential | Error = () => ({ secret: 's', expiresAt: null });
  readonly fetched: string[] = [];
  readonly errors: (number | null)[] = [];
  readonly timers = new Map<number, { readonly ms: number; readonly work: () => void }>();
  private timerCount = 0;

  readonly keeper = new CredentialKeeper({
    fetch: (wanted) => {
      this.fetched.push('url' in wanted ? wanted.url : '');
      const answer = this.answer(wanted);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
    now: () => this.now,
    random: () => 0,
    schedule: (ms, work) => {
      const id = this.timerCount++;
      this.timers.set(id, { ms, work });
      return () => void this.timers.delete(id);
    },
    onError: (_, __, validUntil) => this.errors.push(validUntil),
  });

  delays(): number[] {
    return [...this.timers.values()].map(({ ms }) => ms);
  }

  /** Lets the only timer run out. */
  async elapse(): Promise<void> {
    const [[id, timer] = []] = this.timers;
    if (id === undefined || timer === undefined) throw new Error('there is no timer');
    this.timers.delete(id);
    this.now += timer.ms;
    timer.work();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

describe('the keeper', () => {
  it('fetches each source once, and renews it before it expires', async () => {
    const harness = new Harness();
    harness.answer = () => ({ secret: 'first', expiresAt: harness.now + 3_600_000 });
    await harness.keeper.prepare([ONE, ONE]);
    await harness.keeper.prepare([ONE]);
    expect(harness.fetched).toEqual(['http://one']);
    expect(harness.keeper.secretOf(ONE)).toBe('first');
    expect(harness.keeper.secretOf(TWO)).toBeNull();
    expect(harness.delays()).toEqual([3_000_000]);

    let changes = 0;
    harness.keeper.listen(() => (changes += 1));
    await harness.elapse();
    expect([harness.fetched.length, changes]).toEqual([2, 0]);
    harness.answer = () => ({ secret: 'second', expiresAt: harness.now + 300_000 });
    await harness.elapse();
    expect([harness.keeper.secretOf(ONE), changes]).toEqual(['second', 1]);
    expect(harness.delays()).toEqual([240_000]);
  });

  it('keeps the credential when it cannot be renewed, and tries again ever more slowly', async () => {
    const harness = new Harness();
    harness.answer = () => ({ secret: 'good', expiresAt: harness.now + 100_000 });
    await harness.keeper.prepare([ONE]);
    const validUntil = harness.now + 100_000;
    harness.answer = () => new Error('away');
    const waited: number[] = [];
    for (let i = 0; i < 9; i++) {
      await harness.elapse();
      waited.push(...harness.delays());
    }
    expect(waited).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(harness.errors).toEqual(Array(9).fill(validUntil));
    expect(harness.keeper.secretOf(ONE)).toBe('good');
    harness.answer = () => ({ secret: 'better', expiresAt: null });
    await harness.elapse();
    expect(harness.keeper.secretOf(ONE)).toBe('better');
    expect(harness.delays()).toEqual([1_800_000]);
  });

  it('goes on without one that fails at first, and tells when it has come, even before anyone listens', async () => {
    const harness = new Harness();
    harness.answer = () => new Error('away');
    await harness.keeper.prepare([ONE]);
    expect([harness.keeper.secretOf(ONE), harness.errors]).toEqual([null, [null]]);
    harness.answer = () => ({ secret: 'late', expiresAt: null });
    await harness.elapse();
    let changes = 0;
    harness.keeper.listen(() => (changes += 1));
    expect([harness.keeper.secretOf(ONE), changes]).toEqual(['late', 1]);
  });

  it('waits a while where a credential is given out again that is about to expire', async () => {
    const harness = new Harness();
    harness.answer = () => ({ secret: 'same', expiresAt: harness.now + 1_000 });
    await harness.keeper.prepare([ONE]);
    expect(harness.delays()).toEqual([30_000]);
  });

  it('ends with sources that are not in use, and with all when it is stopped', async () => {
    const harness = new Harness();
    await harness.keeper.prepare([ONE, TWO]);
    harness.keeper.retain([TWO]);
    expect([harness.keeper.secretOf(ONE), harness.keeper.secretOf(TWO)]).toEqual([null, 's']);
    expect(harness.timers.size).toBe(1);
    harness.keeper.stop();
    expect(harness.timers.size).toBe(0);
  });
});
