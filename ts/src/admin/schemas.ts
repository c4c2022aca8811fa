/** Shapes shared by several routes. They are the types of the handlers, the checks of requests, and the OpenAPI document. */
import { type Static, type TProperties, type TSchema, Type } from 'typebox';
import { ADMIN_ERRORS, type AdminErrorCode } from './errors.js';

/** An object with these properties and no others. */
export function record<T extends TProperties>(properties: T, options: Record<string, unknown> = {}) {
  return Type.Object(properties, { additionalProperties: false, ...options });
}

/** A value, or null where there is none. */
export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

/** An amount of money: text, since a JSON number would be rounded by many who read it. */
export function costUsd(description: string) {
  return nullable(
    Type.String({ pattern: String.raw`^\d+(\.\d{1,12})?$`, description, examples: ['0.001234567'] }),
  );
}

/** One of these words. */
export function oneOf<const T extends readonly string[]>(words: T, options: Record<string, unknown> = {}) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: words, ...options });
}

/** A moment, RFC 3339 with a time zone. */
export function timestamp(description: string) {
  return Type.String({ format: 'date-time', description, examples: ['2026-01-31T08:30:00Z'] });
}

/** A schema with a name of its own in the OpenAPI document, and the reference to it. */
export function named<T extends TSchema>(name: string, schema: T) {
  return { schema: { ...schema, $id: name }, ref: Type.Unsafe<Static<T>>(Type.Ref(name)) };
}

/** The body of every refusal. */
export const ErrorSchema = named(
  'Error',
  record(
    {
      error: record({
        code: oneOf(Object.keys(ADMIN_ERRORS) as AdminErrorCode[], {
          description: 'Stable and machine-readable.',
        }),
        message: Type.String({ description: 'What was found and what was expected, for people.' }),
        path: Type.Optional(
          Type.String({ description: 'Where in the request, as `body.limits.concurrency`.' }),
        ),
      }),
    },
    { description: 'Why a request was refused.' },
  ),
);

/** Refusals that any route behind the guard may give. */
const ALWAYS: readonly AdminErrorCode[] = [
  'unauthorized',
  'host_not_allowed',
  'forbidden',
  'too_many_failures',
  'internal_error',
  'store_unavailable',
];

/** Responses for the codes a route may answer with, grouped by status. */
export function refusals(...codes: AdminErrorCode[]): Record<number, TSchema> {
  return describeRefusals([...ALWAYS, ...codes]);
}

/** Responses of a route that needs no token. */
export function publicRefusals(): Record<number, TSchema> {
  return describeRefusals(['host_not_allowed', 'internal_error']);
}

function describeRefusals(codes: readonly AdminErrorCode[]): Record<number, TSchema> {
  const statuses = [...new Set(codes.map((code) => ADMIN_ERRORS[code]))].sort((a, b) => a - b);
  return Object.fromEntries(
    statuses.map((status) => {
      const here = codes.filter((code) => ADMIN_ERRORS[code] === status);
      return [status, { ...ErrorSchema.ref, description: here.map((code) => `\`${code}\``).join(' or ') }];
    }),
  );
}

/** An id in a path. */
export const IdParams = record({
  id: Type.Integer({ minimum: 1, maximum: 4_294_967_295, description: 'Id of the key.' }),
});

/** Milliseconds since 1970 as a timestamp. */
export function toTimestamp(ms: number): string {
  return new Date(ms).toISOString();
}

/** The same, keeping null. */
export function toTimestampOrNull(ms: number | null): string | null {
  return ms === null ? null : toTimestamp(ms);
}
