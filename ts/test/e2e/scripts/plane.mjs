// A data plane and a demo provider by way of the bridge, as another program would use them.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';

const KEY = 'sk-test-virtual-0123456789abcdef';

const OPTIONS = { listeners: [{ address: '127.0.0.1:0' }], workers: 2, max_connections: 1_000 };

/** One provider, any model, one key. */
function snapshotOf(providerAddress) {
  return {
    version: 1,
    settings: {
      max_request_body_bytes: 1_000_000,
      max_response_body_bytes: 1_000_000,
      max_event_bytes: 1_000_000,
      header_timeout_ms: 10_000,
      body_timeout_ms: 10_000,
      idle_timeout_ms: 60_000,
      write_timeout_ms: 60_000,
      max_requests_per_connection: 1_000,
      max_auth_failures_per_minute: 0,
      require_key: true,
    },
    providers: [
      {
        id: 1,
        name: 'demo',
        dialect: 'openai',
        base_url: `http://${providerAddress}/v1`,
        auth: { kind: 'none' },
        keys: [],
        usage_in_stream: true,
        timeouts: { connect_ms: 5_000, first_byte_ms: 60_000, between_chunks_ms: 60_000, total_ms: 0 },
        idle_timeout_ms: 60_000,
        max_idle_per_worker: 64,
      },
    ],
    models: [{ id: 1, name: '*', targets: [{ id: 1, provider: 1, weight: 1, tier: 0 }] }],
    keys: [{ id: 1, digests: [{ sha256: createHash('sha256').update(KEY).digest('hex') }], models: ['*'] }],
  };
}

/** Starts both. */
export function startBoth(bridge, demoOptions) {
  const demo = bridge.startDemoProvider(demoOptions);
  const plane = bridge.startDataPlane(OPTIONS, snapshotOf(demo.address));
  const url = `http://${plane.addresses()[0]}/v1/chat/completions`;
  return { demo, plane, url };
}

/** Headers of a request that is let in. */
export const HEADERS = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };

/** Sends a chat request; resolves when its answer has ended, however it ended. `onData` sees every piece. */
export function chat(url, { stream = false, onData = () => {}, agent = new Agent() } = {}) {
  const body = JSON.stringify({ model: 'any', stream, messages: [{ role: 'user', content: 'x' }] });
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers: HEADERS, agent }, (response) => {
      response.on('data', onData).on('error', () => {});
      response.on('close', () => resolve({ status: response.statusCode, isWhole: response.complete }));
    });
    sent.on('error', reject).end(body);
  });
}

/** Opens streams and resolves when each has brought its first piece. */
export async function openStreams(url, count, onData = () => {}) {
  const first = Array.from({ length: count }, () => {
    return new Promise((resolve, reject) => {
      const seen = (data) => {
        onData(data);
        resolve();
      };
      chat(url, { stream: true, onData: seen }).catch(reject);
    });
  });
  await Promise.all(first);
}

/** What this process holds at this moment. */
export function held() {
  const rss = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return {
    fds: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    rssBytes: Number(rss[1]) * 1_024,
  };
}
