/** Usage: taking records from the data plane, keeping them, and reading them back as lists and reports. */
export * from './ports.js';
export { type ModelCost } from './costs.js';
export { ReportRetention } from './retention.js';
export { usedBefore } from './used-before.js';
export { type RecorderCounters, UsageRecorder } from './recorder.js';
export { STATUS_CLASSES, type UsageRecord } from './record.js';
export { decodeCursor, encodeCursor, everyRequest, listRequests, type RecordedRequest } from './requests.js';
export { ROLLUP_SUMS, type RollupSum } from './rollup-table.js';
