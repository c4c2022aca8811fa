/** A data plane and a demo provider without the addon: they remember what they are told, and serve nothing. */

import type { DataPlane, DemoProvider, Journal, SnapshotRefused } from '../../src/bridge/index.js';
import { RECORD_BYTES, RECORD_FIELDS } from '../../src/bridge/generated/record.js';
import type { MeterLevel, Snapshot, StartOptions, Stats } from '../../src/bridge/generated/snapshot.js';
import type { NativeParts } from '../../src/main.js';
import { journalStats } from '../usage/records.js';

export class FakeDataPlane implements DataPlane {
  /** Everything that happened, in order. */
  readonly events: string[] = [];
  readonly snapshots: Snapshot[] = [];
  options: StartOptions | null = null;
  /** Thrown at the next start or snapshot. */
  refusal: SnapshotRefused | null = null;
  active = 0;
  /** Records that wait to be taken. */
  waiting: Buffer[] = [];
  demoRunning = false;

  private sequence = 0;

  /** A journal that has whatever waits, and keeps nothing. */
  private readonly journal: Journal = {
    start: () => this.events.push('journal'),
    next: () => {
      const records = Buffer.concat(this.waiting.splice(0));
      if (records.length === 0) return null;
      this.sequence += 1;
      const count = records.length / RECORD_BYTES;
      return { sequence: this.sequence, count, recordBytes: RECORD_BYTES, records };
    },
    acknowledge: () => {},
    leftBehind: () => [],
    recover: () => null,
    forget: () => ({ cutBytes: 0, damagedBytes: 0, kept: [] }),
    stats: journalStats,
    stop: () => this.events.push('journal stopped'),
    close: () => this.events.push('journal closed'),
  };

  readonly parts: NativeParts = {
    openJournal: () => this.journal,
    startDataPlane: (options, snapshot) => {
      this.take(snapshot);
      this.options = options;
      this.events.push('start');
      return this;
    },
    startDemoProvider: (): DemoProvider => {
      this.demoRunning = true;
      return {
        address: '127.0.0.1:7777',
        certificatePem: undefined,
        stop: () => {
          this.demoRunning = false;
          this.events.push('demo stopped');
        },
      };
    },
  };

  get version(): number {
    return this.snapshots.at(-1)?.version ?? 0;
  }

  addresses(): string[] {
    return ['127.0.0.1:4242'];
  }

  applySnapshot(json: string): void {
    this.take(JSON.parse(json) as Snapshot);
  }

  meterLevels(): MeterLevel[] {
    return [];
  }

  stats(): Stats {
    const worker = { worker: 0, snapshot_version: this.version, connections: 0, connections_total: 0 };
    const activity = { active_requests: this.active, active_streams: 0, ring_dropped: 0, ring_used: 0 };
    return {
      snapshot_version: this.version,
      ready: !this.events.includes('unready'),
      workers: [{ ...worker, ...activity }],
      targets: [],
      routes: [],
      errors: [],
      gateway: { counts: [], sum_us: 0 },
      pools: [],
    };
  }

  activeCount(): number {
    return this.active;
  }

  setUnready(): void {
    this.events.push('unready');
  }

  drain(): void {
    this.events.push('drain');
  }

  stop(): void {
    this.events.push('stop');
  }

  private take(snapshot: Snapshot): void {
    const { refusal } = this;
    this.refusal = null;
    if (refusal !== null) throw refusal;
    this.snapshots.push(snapshot);
  }
}

/** A usage record of one finished request. */
export function record(keyId: number, startedAtMs: number): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES);
  bytes.writeBigUInt64LE(BigInt(startedAtMs), RECORD_FIELDS.started_at_ms.offset);
  bytes.writeUInt32LE(keyId, RECORD_FIELDS.key_id.offset);
  bytes.writeUInt16LE(200, RECORD_FIELDS.status.offset);
  bytes.writeUInt8(1, RECORD_FIELDS.route.offset);
  return bytes;
}
