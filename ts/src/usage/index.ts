/** Usage: taking records from the data plane, keeping them, and reading them back as lists and reports. */
export * from './ports.js';
export { type RecorderCounters, type RecorderOptions, type RecordSource, UsageRecorder } from './recorder.js';
export { STATUS_CLASSES, statusClass, type UsageRecord } from './record.js';
export { decodeCursor, encodeCursor, listRequests, type RequestPage, type RequestQuery } from './requests.js';
export { ROLLUP_SUMS, type RollupSum } from './rollup-table.js';
