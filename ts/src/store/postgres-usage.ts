/**
 * Writes of usage in PostgreSQL: few statements with many rows, in one transaction per batch. They take no lock that
 * governance waits for, and rows of rollups always in the same order, so that two gateways never wait for each other.
 */
import type { NewSegment } from '../usage/ports.js';
import { ROLLUP_KEYS, ROLLUP_SUMS, type RollupTable } from '../usage/rollup-table.js';
import { segmentStart, type UsageWriter } from './database.js';
import { PooledClient, type Pooled } from './postgres-driver.js';
import { COST_COLUMNS, costColumns, MINUTES_PER_HOUR } from './report.js';

/** Bytes of records in one statement, at most, beyond its first segment. */
const MAX_STATEMENT_BYTES = 8 * 1024 * 1024;

/** Segments in one statement, at most. */
const MAX_STATEMENT_SEGMENTS = 256;

/** Rows of rollups in one statement, at most (about 1 MB of text). */
const ROLLUPS_PER_STATEMENT = 4_096;

const SEGMENT_COLUMNS = 'boot, sequence, first_ms, last_ms, count, records';
const SEGMENT_VALUES = 6;

const GROW_BOOT = 'update usage_boot set segment_bytes = segment_bytes + $1 where id = $2';

const ADVANCE_BOOT = 'update usage_boot set rolled_sequence = $1 where id = $2 and rolled_sequence = $3';

const SUMMED: readonly string[] = [...ROLLUP_SUMS, ...COST_COLUMNS];
const COLUMNS: readonly string[] = [...ROLLUP_KEYS, ...SUMMED];

/** The writer. */
export class PostgresUsageWriter implements UsageWriter {
  constructor(private readonly pooled: Pooled) {}

  writeSegments(bootId: number, segments: readonly NewSegment[]): Promise<void> {
    return this.inTransaction(async (client) => {
      let grown = 0;
      for (const batch of batches(segments)) grown += await insertSegments(client, bootId, batch);
      await client.query(GROW_BOOT, [grown, bootId]);
    });
  }

  addRollups(bootId: number, from: number, to: number, rollups: RollupTable): Promise<boolean> {
    return this.inTransaction(async (client) => {
      const { rowCount } = await client.query(ADVANCE_BOOT, [to, bootId, from]);
      if (rowCount !== 1) return false;
      const rows = sortedRows(rollups);
      for (let at = 0; at < rows.length; at += ROLLUPS_PER_STATEMENT)
        await client.query(ADD_MINUTES, columnsOf(rows.slice(at, at + ROLLUPS_PER_STATEMENT)));
      for (let at = 0; at < rows.length; at += ROLLUPS_PER_STATEMENT)
        await client.query(ADD_HOURS, columnsOf(rows.slice(at, at + ROLLUPS_PER_STATEMENT)));
      return true;
    });
  }

  private async inTransaction<T>(work: (client: PooledClient) => Promise<T>): Promise<T> {
    const client = await PooledClient.take(this.pooled);
    try {
      return await client.transaction(() => work(client));
    } finally {
      client.release();
    }
  }
}

/** Adds up within the statement (an hour has many minutes), in the order of the keys. */
function addRollups(table: string, minute: string): string {
  const arrays = COLUMNS.map((_, at) => `$${at + 1}::bigint[]`).join(', ');
  const keys = [minute, ...ROLLUP_KEYS.slice(1)].join(', ');
  const places = ROLLUP_KEYS.map((_, at) => at + 1).join(', ');
  const sums = SUMMED.map((sum) => `${sum} = ${table}.${sum} + excluded.${sum}`).join(', ');
  return `insert into ${table} (${COLUMNS.join(', ')})
    select ${keys}, ${SUMMED.map((sum) => `sum(${sum})`).join(', ')}
    from unnest(${arrays}) as added (${COLUMNS.join(', ')})
    group by ${places} order by ${places}
    on conflict (${ROLLUP_KEYS.join(', ')}) do update set ${sums}`;
}

const ADD_MINUTES = addRollups('usage_rollup', 'minute');
const ADD_HOURS = addRollups('usage_rollup_hour', `minute / ${MINUTES_PER_HOUR} * ${MINUTES_PER_HOUR}`);

function* batches(segments: readonly NewSegment[]): Generator<NewSegment[]> {
  let batch: NewSegment[] = [];
  let bytes = 0;
  for (const segment of segments) {
    const isFull = bytes + segment.records.byteLength > MAX_STATEMENT_BYTES;
    if (batch.length > 0 && (isFull || batch.length === MAX_STATEMENT_SEGMENTS)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(segment);
    bytes += segment.records.byteLength;
  }
  if (batch.length > 0) yield batch;
}

/** Answers how many bytes were new. */
async function insertSegments(
  client: PooledClient,
  bootId: number,
  segments: readonly NewSegment[],
): Promise<number> {
  const rows = segments.map((_, row) => {
    const places = Array.from(
      { length: SEGMENT_VALUES },
      (_value, at) => `$${row * SEGMENT_VALUES + at + 1}`,
    );
    return `(${places.join(', ')})`;
  });
  const { rows: inserted } = await client.query(
    `insert into usage_segment (${SEGMENT_COLUMNS}) values ${rows.join(', ')}
     on conflict (boot, sequence) do nothing
     returning length(records) as bytes`,
    segments.flatMap((segment) => segmentValues(bootId, segment)),
  );
  return (inserted as { bytes: number }[]).reduce((sum, { bytes }) => sum + bytes, 0);
}

function segmentValues(bootId: number, segment: NewSegment): unknown[] {
  const { sequence, lastMs, count, records } = segment;
  return [bootId, sequence, segmentStart(segment), lastMs, count, records];
}

/** The rows of a table in the order of their keys. */
function sortedRows(rollups: RollupTable): number[][] {
  const rows: number[][] = [];
  rollups.forEach((key, sums, cost) => rows.push([...key, ...sums, ...costColumns(cost)]));
  return rows.sort(byKey);
}

function byKey(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < ROLLUP_KEYS.length; at += 1) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** One array per column, as PostgreSQL writes arrays. */
function columnsOf(rows: readonly (readonly number[])[]): string[] {
  return COLUMNS.map((_, column) => `{${rows.map((row) => row[column] ?? 0).join(',')}}`);
}
