import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.js';
import { surroundings } from './surroundings.js';

describe('the defaults', () => {
  it('are what the guide says', () => {
    const config = parseConfig('', null, surroundings()).config!;
    expect(config).toEqual({
      start: {
        listeners: [{ address: { host: '127.0.0.1', port: 8080 }, tls: null }],
        workers: 0,
        maxConnections: 10_000,
      },
      admin: {
        address: { host: '127.0.0.1', port: 8081 },
        token: null,
        allowedHosts: [],
        metricsAccess: 'loopback',
      },
      providers: [
        {
          name: 'demo',
          dialect: 'openai',
          baseUrl: null,
          auth: { kind: 'none' },
          authText: 'none',
          keys: [],
          credential: null,
          headers: [],
          usageInStream: true,
          quirks: [],
          paths: {},
          modelInBody: null,
          apiVersion: null,
          defaultMaxTokens: null,
          extraCaPem: null,
          timeouts: {
            connect: 5_000,
            firstByte: 300_000,
            betweenChunks: 120_000,
            total: 900_000,
            idle: 30_000,
          },
          maxIdlePerWorker: 256,
          rules: [],
          foundIn: null,
        },
      ],
      models: [['demo/*', '*'] as const, ['*', null] as const, ['demo', null] as const].map(
        ([name, upstreamModel]) => ({
          name,
          aliases: [],
          targets: [{ provider: 'demo', upstreamModel, weight: 1, tier: 0, maxOutputTokens: null }],
          rules: [],
        }),
      ),
      entities: [],
      keys: [],
      prices: [],
      keyDefaults: {},
      secrets: { masterKey: null, previous: [] },
      settings: {
        maxRequestBodyBytes: 33_554_432,
        maxResponseBodyBytes: 67_108_864,
        maxEventBytes: 8_388_608,
        headerTimeoutMs: 10_000,
        bodyTimeoutMs: 120_000,
        idleTimeoutMs: 75_000,
        writeTimeoutMs: 60_000,
        maxRequestsPerConnection: 100_000,
        maxAuthFailuresPerMinute: 60,
        requireKey: true,
        translateUnsupported: 'drop',
        unpriced: 'refuse_under_budget',
      },
      drainTimeoutMs: 30_000,
      drainLagMs: 1_000,
      reloadOnChange: true,
      usageDetailDays: 30,
      usageReportDays: null,
      usageSync: 'interval',
      logLevel: 'info',
      dataDir: resolve('sluice-data'),
      postgres: null,
    });
  });

  it.each(['', '\n', '# nothing\n', '{}', 'null', 'providers:\nmodels:\nkeys:\nlimits:\nlisteners:\n'])(
    'hold for %j',
    (text) => {
      const { dataDir: _, ...defaults } = parseConfig('', null, surroundings()).config!;
      expect(parseConfig(text, '/etc/sluice/sluice.yaml', surroundings()).config).toMatchObject(defaults);
    },
  );
});
