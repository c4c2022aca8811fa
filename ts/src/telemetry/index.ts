/** Metrics and logs. */
export { createLogger, type LogLevel, redactText } from './logger.js';
export { Metrics, type MetricsSources } from './metrics.js';
