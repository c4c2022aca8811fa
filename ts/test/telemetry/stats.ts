/** Readings of the data plane, made by hand. */
import { LATENCY_BOUNDS_US } from '../../src/bridge/generated/record.js';
import type { Histogram, Stats } from '../../src/bridge/generated/snapshot.js';

/** A histogram with these counts in its first buckets, and one in the bucket above all bounds where wanted. */
export function histogram(counts: readonly number[] = [], sum_us = 0, above = 0): Histogram {
  const all = new Array<number>(LATENCY_BOUNDS_US.length + 1).fill(0).map((_, at) => counts[at] ?? 0);
  all[LATENCY_BOUNDS_US.length] = above;
  return { counts: all, sum_us };
}

/** Two idle workers and nothing else. */
export function emptyStats(): Stats {
  const worker = {
    snapshot_version: 7,
    connections: 0,
    connections_total: 0,
    active_requests: 0,
    active_streams: 0,
    ring_dropped: 0,
    ring_used: 0,
  };
  return {
    snapshot_version: 7,
    ready: true,
    workers: [
      { ...worker, worker: 0 },
      { ...worker, worker: 1 },
    ],
    targets: [],
    routes: [],
    errors: [],
    gateway: histogram(),
    pools: [],
  };
}
