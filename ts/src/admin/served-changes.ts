/**
 * Changes of what is served, from the store to the data plane: they run one after the other, and one that the data plane
 * refuses is taken back, so that what is stored is what is served.
 */
import type { ConfigControl, ConfigReport } from '../governance/ports.js';
import { AdminError } from './errors.js';

/** The queue of them; one for all that share a data plane. */
export class ServedChanges {
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly config: Pick<ConfigControl, 'keysChanged'>) {}

  /** Runs the work when all before it has ended. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => {});
    return done;
  }

  /** Puts what is now stored to use, or takes it back. */
  async apply(undo: () => Promise<unknown>): Promise<void> {
    const report = await this.config.keysChanged().catch(async (error: unknown) => {
      await undo();
      throw error;
    });
    if (report.ok) return;
    await undo();
    throw new AdminError(
      'config_refused',
      `the data plane refused the change, which was taken back: ${reasons(report)}`,
    );
  }
}

/** The errors of a report, in one line. */
export function reasons(report: ConfigReport): string {
  const errors = report.problems.filter((problem) => problem.severity === 'error');
  return errors.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; ');
}
