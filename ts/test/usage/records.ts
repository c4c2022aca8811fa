/** Usage records made by hand, in the layout the data plane writes. */
import { RECORD_BYTES, RECORD_FIELDS } from '../../src/bridge/generated/record.js';

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

/** A data plane that hands out prepared buffers, one per call. */
export class FakeSource {
  readonly waiting: Buffer[] = [];

  drainRecords(): Buffer {
    return this.waiting.shift() ?? Buffer.alloc(0);
  }
}
