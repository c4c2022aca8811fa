/** Deletes the sums behind reports once they are past the time for which they are to be kept. */
import type { UsageLedger } from './ports.js';

/** Time between two looks. */
const LOOK_MS = 60_000;

/** Time between two deletions while there is more: each takes a few minutes' sums, so that it holds up nothing. */
const PAUSE_MS = 250;

const MS_PER_MINUTE = 60_000;
const MINUTES_PER_HOUR = 60;

/** What it works with. */
export interface ReportRetentionOptions {
  readonly ledger: Pick<UsageLedger, 'deleteRollups'>;
  /** Sums of whole hours that ended longer ago than this are deleted, milliseconds. */
  readonly keepMs: number;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

/** Looks now and then. */
export class ReportRetention {
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly options: ReportRetentionOptions) {}

  start(): void {
    this.timer = setTimeout(() => void this.look(), PAUSE_MS).unref();
  }

  /** Resolves when nothing is being deleted any more. */
  async stop(): Promise<void> {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    await this.running;
  }

  /** One look; answers whether there is more to delete. */
  async deleteOld(): Promise<boolean> {
    const { ledger, keepMs, now } = this.options;
    const minute = Math.floor((now() - keepMs) / MS_PER_MINUTE);
    return ledger.deleteRollups(minute - (minute % MINUTES_PER_HOUR));
  }

  private async look(): Promise<void> {
    const deleting = this.deleteOld().catch((error: unknown) => {
      this.options.onError(error);
      return false;
    });
    this.running = deleting.then(() => undefined);
    const pause = (await deleting) ? PAUSE_MS : LOOK_MS;
    if (this.timer) this.timer = setTimeout(() => void this.look(), pause).unref();
  }
}
