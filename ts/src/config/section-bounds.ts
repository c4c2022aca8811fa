/** Reads `limits`, `timeouts` and `settings`: bounds and switches of the data plane. */

import type { Config, DataPlaneSettings } from './config.js';
import { DEFAULTS } from './defaults.js';
import { parseDuration, parseSize } from './scalars.js';
import { section, type Reading } from './section.js';

/** Bounds of the data plane. Where a section is unreadable the defaults stand in; the configuration is refused anyway. */
export function readBounds(reading: Reading): DataPlaneSettings {
  const limits = readable(reading, 'limits');
  const timeouts = readable(reading, 'timeouts');
  return {
    maxRequestBodyBytes: bytes(limits.request_body ?? DEFAULTS.requestBody),
    maxResponseBodyBytes: bytes(limits.response_body ?? DEFAULTS.responseBody),
    maxEventBytes: bytes(limits.stream_event ?? DEFAULTS.streamEvent),
    headerTimeoutMs: milliseconds(timeouts.header ?? DEFAULTS.header),
    bodyTimeoutMs: milliseconds(timeouts.body ?? DEFAULTS.body),
    idleTimeoutMs: milliseconds(timeouts.idle ?? DEFAULTS.clientIdle),
    writeTimeoutMs: milliseconds(timeouts.write ?? DEFAULTS.write),
    maxRequestsPerConnection: limits.requests_per_connection ?? DEFAULTS.requestsPerConnection,
    maxAuthFailuresPerMinute: limits.auth_failures_per_minute ?? DEFAULTS.authFailuresPerMinute,
    ...readSwitches(reading),
  };
}

function readSwitches(
  reading: Reading,
): Pick<DataPlaneSettings, 'unpriced' | 'requireKey' | 'translateUnsupported'> {
  const settings = readable(reading, 'settings');
  return {
    unpriced: settings.unpriced ?? DEFAULTS.unpriced,
    requireKey: settings.require_key ?? DEFAULTS.requireKey,
    translateUnsupported: readable(reading, 'translate').unsupported ?? DEFAULTS.translateUnsupported,
  };
}

type Process = Pick<
  Config,
  | 'drainTimeoutMs'
  | 'drainLagMs'
  | 'reloadOnChange'
  | 'logLevel'
  | 'usageDetailDays'
  | 'usageReportDays'
  | 'usageSync'
> & {
  readonly workers: number;
  readonly maxConnections: number;
};

/** What concerns the process as a whole. */
export function readProcess(reading: Reading): Process {
  const settings = readable(reading, 'settings');
  const timeouts = readable(reading, 'timeouts');
  return {
    drainTimeoutMs: milliseconds(timeouts.drain ?? DEFAULTS.drain),
    drainLagMs: milliseconds(timeouts.drain_lag ?? DEFAULTS.drainLag),
    reloadOnChange: settings.reload_on_change ?? DEFAULTS.reloadOnChange,
    usageDetailDays: settings.usage_detail_days ?? DEFAULTS.usageDetailDays,
    usageReportDays: settings.usage_report_days ?? null,
    usageSync: settings.usage_sync ?? DEFAULTS.usageSync,
    logLevel: settings.log_level ?? DEFAULTS.logLevel,
    workers: section(reading, 'workers') ?? DEFAULTS.workers,
    maxConnections: readable(reading, 'limits').connections ?? DEFAULTS.connections,
  };
}

type Bounds = 'limits' | 'timeouts' | 'translate' | 'settings';

function readable<K extends Bounds>(reading: Reading, name: K): NonNullable<Reading['raw'][K]> {
  const found = reading.problems.isBroken([name]) ? undefined : section(reading, name);
  return found ?? {};
}

function milliseconds(value: string | number): number {
  return parseDuration(value) ?? 0;
}

function bytes(value: string): number {
  return parseSize(value) ?? 0;
}
