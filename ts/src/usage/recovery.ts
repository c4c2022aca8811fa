/**
 * What earlier runs left undone: records that were in the journal and not yet in the store, and batches in the store that
 * were not yet summed.
 *
 * The journal gives its records at least once, under the run they belong to and a rising sequence. The store knows up to
 * which sequence it has a run's records: batches are written in order, and kept until they are summed. What is recovered
 * beyond that mark is new, however it had been cut into batches before; so every record is stored exactly once.
 */
import type { Boot, JournalDamage, RecordBatch, RecordJournal, UsageLedger } from './ports.js';
import { recordWords, timeSpan, widened } from './record.js';
import { RollupTable } from './rollup-table.js';

/** Records taken at once, and so stored in one segment (2 MB). */
export const MAX_RECORDS_PER_SEGMENT = 16_384;

/** Segments summed again per transaction after a run ended badly. */
const REPLAY_SEGMENTS = 32;

/** What recovery works with. */
export interface RecoveryOptions {
  readonly journal: RecordJournal;
  readonly ledger: UsageLedger;
  /** Told of whatever failed; the rest goes on. */
  readonly onError: (error: unknown) => void;
  /** Told what was wrong with the files of a run, where anything was. */
  readonly onDamage: (bootId: string, damage: JournalDamage) => void;
}

/** Stores and sums what earlier runs left in the journal, and answers how many records that were. */
export async function recover(options: RecoveryOptions): Promise<number> {
  const { journal, ledger, onError } = options;
  const stored: string[] = [];
  let records = 0;
  for (const bootId of journal.leftBehind()) {
    try {
      records += await storeLeft(journal, ledger, bootId);
      await replay(ledger, await ledger.openBoot(bootId));
      stored.push(bootId);
    } catch (error) {
      onError(error); // its files stay, and are tried again
    }
  }
  if (stored.length > 0) await forget(stored, options).catch(onError);
  return records;
}

async function storeLeft(journal: RecordJournal, ledger: UsageLedger, bootId: string): Promise<number> {
  const { id, storedSequence } = await ledger.openBoot(bootId);
  let at = storedSequence;
  let records = 0;
  for (;;) {
    const batch = journal.recover(bootId, at, MAX_RECORDS_PER_SEGMENT);
    if (batch === null) return records;
    const bytes = currentRecords(batch);
    const span = timeSpan(recordWords(bytes), batch.count);
    const { sequence, count } = batch;
    await ledger.writeSegments(id, [{ sequence, ...span, count, records: bytes }]);
    at = sequence;
    records += count;
  }
}

/** Files go when what was in them outlives a machine that loses power. */
async function forget(bootIds: readonly string[], options: RecoveryOptions): Promise<void> {
  await options.ledger.makeDurable();
  for (const bootId of bootIds) {
    const damage = options.journal.forget(bootId);
    if (damage.cutBytes + damage.damagedBytes > 0) options.onDamage(bootId, damage);
  }
}

/** The records of a batch in today's layout. */
export function currentRecords({ records, count }: RecordBatch): Uint8Array {
  return widened(records, count);
}

/**
 * Sums the segments of a run that are beyond its rolled sequence, and answers the run as it then stands. Rejects when
 * another process is doing the same: what it has added stays added once, and trying again goes on from there.
 */
export async function replay(ledger: UsageLedger, boot: Boot): Promise<Boot> {
  const table = new RollupTable();
  let at = boot.rolledSequence;
  for (;;) {
    const segments = await ledger.segmentsAfter(boot.id, at, REPLAY_SEGMENTS);
    const last = segments.at(-1);
    if (!last) return { ...boot, rolledSequence: at };
    for (const { records, count } of segments) table.add(recordWords(records), count);
    if (!(await ledger.addRollups(boot.id, at, last.sequence, table))) {
      throw new Error('another process is adding the usage of the same run; it will be tried again');
    }
    table.clear();
    at = last.sequence;
  }
}
