/** What is measured, as data. */

import type { DemoOptions } from '../../bridge/index.js';
import type { LoadMode } from './load.js';

/** The upstreams, each a demo provider of its own. */
export const UPSTREAMS = {
  plain: {},
  tls: { tls: 'self_signed' },
  wait50: { delay_ms: 50 },
  wait1500: { delay_ms: 1500 },
  typing: { chunks: 50, chunk_gap_ms: 20, stamp_chunks: true },
} as const satisfies Record<string, DemoOptions>;

export type UpstreamName = keyof typeof UPSTREAMS;

/** What stands between the generator and the upstream. */
export type Subject = 'direct' | 'nginx' | 'sluice';
export const SUBJECTS: readonly Subject[] = ['direct', 'nginx', 'sluice'];

/**
 * One way of a row. `sluice_identity` is Sluice asked for the provider's own model name with the usual key, as a yardstick
 * for a row that asks for an alias or with another key.
 */
export type Lane = Subject | 'sluice_identity';

/** `one`: a single worker thread or process; `default`: as many as the program chooses by itself. */
export type Workers = 'one' | 'default';

/** One row of the table. */
export interface Row {
  readonly name: string;
  /** What it shows, for the report. */
  readonly title: string;
  readonly lanes: readonly Lane[];
  readonly upstream: UpstreamName;
  readonly bodyBytes: number;
  readonly stream: boolean;
  readonly alias: boolean;
  /** Asked with a key that has five limits and two budgets. */
  readonly metered: boolean;
  readonly workers: Workers;
  readonly mode: LoadMode['kind'];
  readonly connections: number;
  /** Requests per second of an open loop. */
  readonly rate?: number;
  /** Measured seconds of one run; the usual length unless given. */
  readonly seconds?: number;
  /** Shortest run that measures anything, in seconds, where the upstream is slow. */
  readonly leastSeconds?: number;
  /** Seconds before the measured ones, where half a second is less than one answer takes. */
  readonly warmupSeconds?: number;
  /** Runs per lane; the usual number unless given. */
  readonly rounds?: number;
}

const KB = 1024;
const ALL: readonly Lane[] = ['direct', 'nginx', 'sluice'];

const USUAL = {
  lanes: ALL,
  upstream: 'plain',
  bodyBytes: KB,
  stream: false,
  alias: false,
  metered: false,
  workers: 'one',
  mode: 'closed',
  connections: 32,
} as const satisfies Partial<Row>;

/** All rows, in the order in which they run. */
export const ROWS: readonly Row[] = [
  { ...USUAL, name: 'closed-1k', title: '1 KB body, 32 connections, one worker' },
  { ...USUAL, name: 'closed-20k', title: '20 KB body, 32 connections, one worker', bodyBytes: 20 * KB },
  { ...USUAL, name: 'closed-120k', title: '120 KB body, 32 connections, one worker', bodyBytes: 120 * KB },
  {
    ...USUAL,
    name: 'alias-1k',
    title: '1 KB body, the model renamed on the way',
    alias: true,
    lanes: ['nginx', 'sluice_identity', 'sluice'],
  },
  {
    ...USUAL,
    name: 'metered-1k',
    title: '1 KB body, a key with five limits and two budgets',
    metered: true,
    lanes: ['nginx', 'sluice_identity', 'sluice'],
  },
  { ...USUAL, name: 'default-workers-1k', title: '1 KB body, default number of workers', workers: 'default' },
  {
    ...USUAL,
    name: 'tls-1k',
    title: '1 KB body, upstream over TLS',
    upstream: 'tls',
    lanes: ['nginx', 'sluice'],
  },
  {
    ...USUAL,
    name: 'stream-64',
    title: '64 streams a second, each of 50 chunks 20 ms apart',
    upstream: 'typing',
    stream: true,
    mode: 'open',
    // A stream lasts a second, so as many are under way at once; in a closed loop all would send at the same moment.
    rate: 64,
    connections: 256,
    leastSeconds: 2,
    warmupSeconds: 1.5,
  },
  {
    ...USUAL,
    name: 'paired-1k',
    title: '1 KB body, one connection, turns of direct and through',
    mode: 'paired',
    connections: 1,
    lanes: ['nginx', 'sluice'],
  },
  {
    ...USUAL,
    name: 'open-5000',
    title: '5,000 requests per second, upstream takes 50 ms',
    upstream: 'wait50',
    mode: 'open',
    connections: 2000,
    rate: 5000,
    seconds: 60,
    rounds: 1,
  },
  ...[64, 512, 4096].map((connections): Row => ({
    ...USUAL,
    name: `inflight-${connections}`,
    title: `${connections} requests in flight, upstream takes 1.5 s`,
    upstream: 'wait1500',
    connections,
    seconds: 9,
    leastSeconds: 4,
    warmupSeconds: 2,
    rounds: 1,
  })),
];

/** The upstreams that rows need, each once. */
export function upstreamsOf(rows: readonly Row[]): UpstreamName[] {
  return [...new Set(rows.map((row) => row.upstream))];
}
