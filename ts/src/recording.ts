/** What records usage, put together from the configuration: the journal, the recorder, and the end of old sums. */

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { JournalOptions } from './bridge/generated/snapshot.js';
import type { Config } from './config/config.js';
import type { Store } from './store/index.js';
import type { createLogger } from './telemetry/index.js';
import { type JournalDamage, type RecordJournal, ReportRetention, UsageRecorder } from './usage/index.js';

/** Files of usage records that the store does not have yet, eight million of them; beyond it the oldest are lost. */
const MAX_JOURNAL_BYTES = 1024 ** 3;

/** Usage records in memory that could not be written, or wait to be taken. */
const MAX_JOURNAL_MEMORY_BYTES = 64 * 1024 ** 2;

const MS_PER_DAY = 86_400_000;

type Logger = ReturnType<typeof createLogger>;

/** Where the journal is, how large it may become, and how it is named. */
export function journalOptions({ dataDir, usageSync }: Config): JournalOptions {
  return {
    directory: join(dataDir, 'journal'),
    boot_id: randomUUID(),
    sync: usageSync,
    max_bytes: MAX_JOURNAL_BYTES,
    max_memory_bytes: MAX_JOURNAL_MEMORY_BYTES,
  };
}

/** Stores what earlier runs left in the journal, and makes what takes the records of this one. */
export function openRecorder(
  config: Config,
  parts: { store: Store; journal: RecordJournal; bootId: string; logger: Logger },
): Promise<UsageRecorder> {
  const { store, journal, bootId, logger } = parts;
  return UsageRecorder.open({
    journal,
    ledger: store.usage,
    bootId,
    retentionMs: config.usageDetailDays * MS_PER_DAY,
    now: Date.now,
    onError: (err) => logger.error({ err }, 'usage could not be stored; it will be tried again'),
    onDamage: (run, damage) => logDamage(logger, run, damage),
  });
}

/** A write that was under way when the process was killed is no damage. */
function logDamage(logger: Logger, run: string, damage: JournalDamage): void {
  const facts = {
    event: 'journal',
    run,
    cut_bytes: damage.cutBytes,
    damaged_bytes: damage.damagedBytes,
    kept: damage.kept,
  };
  if (damage.damagedBytes > 0) logger.error(facts, 'usage records of an earlier run could not be read');
  else logger.info(facts, 'the last write of an earlier run was unfinished');
}

/** The sums behind the reports are kept for good unless the file says otherwise. */
export function startRetention(config: Config, { usage }: Store, logger: Logger): ReportRetention | null {
  if (config.usageReportDays === null) return null;
  const retention = new ReportRetention({
    ledger: usage,
    keepMs: config.usageReportDays * MS_PER_DAY,
    now: Date.now,
    onError: (err) => logger.error({ err }, 'old sums of usage could not be deleted; it will be tried again'),
  });
  retention.start();
  return retention;
}
