/** Metrics and logs. */
export { createLogger, redactText } from './logger.js';
export { Metrics } from './metrics.js';
