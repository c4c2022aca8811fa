/**
 * The log: one JSON object per line on standard output or a given stream, with secrets replaced wherever they could
 * appear. Callers log ids, never credentials; the redaction is the second line of defence.
 */
import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino';

/** Severity from which lines are written. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

const REPLACEMENT = '***';

/** Properties that hold a credential under whatever they are nested in, up to two levels. */
const SECRET_PROPERTIES = [
  'authorization',
  'cookie',
  'secret',
  'token',
  'password',
  'api_key',
  'apiKey',
  '["x-api-key"]',
  '["api-key"]',
  '["x-goog-api-key"]',
  '["set-cookie"]',
];

/** Credentials inside text: virtual keys, admin tokens, provider keys of the usual shape, bearer headers. */
const SECRET_TEXT =
  /\b(?:sk-[\w-]{8,}|sluice-admin-[\w-]{8,}|slc-adm-[\w-]{8,}|AIza[\w-]{20,})|(?<=\bBearer\s+)[^\s"',]{8,}/gi;

/** Text with every credential in it replaced. */
export function redactText(text: string): string {
  return text.replace(SECRET_TEXT, REPLACEMENT);
}

/** Makes the logger of the process. */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: redactedPaths(), censor: REPLACEMENT },
    serializers: { err: redactedError },
    hooks: { logMethod: redactedMessage },
  };
  return destination ? pino(options, destination) : pino(options);
}

function redactedPaths(): string[] {
  return SECRET_PROPERTIES.flatMap((property) => {
    const dotted = property.startsWith('[') ? property : `.${property}`;
    return [property, `*${dotted}`, `*.*${dotted}`];
  });
}

/** Messages of other people's errors may repeat what they were given; of their other properties only the code is kept. */
function redactedError(error: Error & { code?: unknown }): object {
  const { type, message, stack } = stdSerializers.err(error);
  const code = typeof error.code === 'string' ? { code: error.code } : {};
  return { type, ...code, message: redactText(message), stack: redactText(stack) };
}

function redactedMessage(
  this: Logger,
  args: Parameters<Logger['info']>,
  method: (this: Logger, ...args: Parameters<Logger['info']>) => void,
): void {
  const safe = args.map((arg: unknown) => (typeof arg === 'string' ? redactText(arg) : arg));
  method.apply(this, safe as typeof args);
}
