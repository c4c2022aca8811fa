/** Usage records made by hand, in the layout the data plane writes. */
import { RECORD_BYTES, RECORD_FIELDS } from '../../src/bridge/generated/record.js';
import type { JournalStats } from '../../src/bridge/generated/snapshot.js';
import type { JournalDamage, RecordBatch, RecordJournal } from '../../src/usage/ports.js';

type Field = Exclude<keyof typeof RECORD_FIELDS, 'request_id' | 'cost_picousd'>;

/** Fields of a record; absent ones are 0. `request_id` is the number its last bytes hold. */
export type RecordFields = Partial<Record<Field | 'request_id', number>> & { cost_picousd?: number | bigint };

/** Some minute in 2025, on its boundary. */
export const T0 = 1_753_000_020_000;

/** A plain successful request. */
export const OK: RecordFields = {
  started_at_ms: T0,
  key_id: 1,
  model_id: 2,
  provider_id: 3,
  target_id: 4,
  input_tokens: 100,
  output_tokens: 20,
  duration_us: 5_000,
  gateway_us: 40,
  status: 200,
  route: 1,
  attempts: 1,
};

/** The records as one drained buffer. */
export function records(rows: readonly RecordFields[]): Buffer {
  const bytes = Buffer.alloc(rows.length * RECORD_BYTES);
  rows.forEach((row, index) => write(bytes, index * RECORD_BYTES, row));
  return bytes;
}

function write(bytes: Buffer, at: number, row: RecordFields): void {
  bytes.writeUInt32BE(row.request_id ?? 0, at + 12);
  for (const [name, { offset, kind }] of Object.entries(RECORD_FIELDS)) {
    const value = row[name as keyof RecordFields] ?? 0;
    if (kind === 'i64') bytes.writeBigInt64LE(BigInt(value), at + offset);
    else if (kind === 'u64') bytes.writeBigUInt64LE(BigInt(value), at + offset);
    else if (kind === 'u32') bytes.writeUInt32LE(Number(value), at + offset);
    else if (kind === 'u16') bytes.writeUInt16LE(Number(value), at + offset);
    else if (kind === 'u8') bytes.writeUInt8(Number(value), at + offset);
  }
}

/** A copy of the records that began at another time. */
export function begunAt(template: Buffer, now: number): Buffer {
  const copy = Buffer.from(template);
  for (let at = RECORD_FIELDS.started_at_ms.offset; at < copy.length; at += RECORD_BYTES) {
    copy.writeBigUInt64LE(BigInt(now), at);
  }
  return copy;
}

/** What a journal says that holds nothing. */
export function journalStats(): JournalStats {
  return {
    bytes: 0,
    memory_bytes: 0,
    unacknowledged_frames: 0,
    crowded: false,
    records: 0,
    lost_records: 0,
    failures: 0,
    syncs: 0,
    sync_us: 0,
    last_failure: '',
  };
}

/** A journal that hands out prepared buffers, one per call. */
export class FakeSource implements RecordJournal {
  readonly waiting: Buffer[] = [];
  /** What earlier runs left, by their boot ids. */
  readonly left = new Map<string, RecordBatch[]>();
  readonly damage = new Map<string, JournalDamage>();
  reading = journalStats();
  sequence = 0;
  acknowledged = 0;

  next(): RecordBatch | null {
    const records = this.waiting.shift();
    if (records === undefined) return null;
    this.sequence += 1;
    return batchOf(this.sequence, records);
  }

  acknowledge(sequence: number): void {
    this.acknowledged = sequence;
  }

  leftBehind(): string[] {
    return [...this.left.keys()];
  }

  recover(bootId: string, after: number): RecordBatch | null {
    return this.left.get(bootId)?.find(({ sequence }) => sequence > after) ?? null;
  }

  forget(bootId: string): JournalDamage {
    this.left.delete(bootId);
    return this.damage.get(bootId) ?? { cutBytes: 0, damagedBytes: 0, kept: [] };
  }

  stats(): JournalStats {
    return this.reading;
  }
}

/** Records as a journal gives them. */
export function batchOf(sequence: number, records: Buffer): RecordBatch {
  return { sequence, count: records.length / RECORD_BYTES, recordBytes: RECORD_BYTES, records };
}
