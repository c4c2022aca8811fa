/** Checking of requests: bodies exactly as their schema says, path and query with text turned into numbers. */
import { Ajv, type Options } from 'ajv';
import type { FastifyInstance, FastifySchema } from 'fastify';
import type { FastifyRouteSchemaDef } from 'fastify/types/schema.js';

/** RFC 3339: a date, a time and a zone. */
const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

/** Unknown fields are errors, never dropped or filled in silently: a misspelt limit must not become no limit. */
const OPTIONS: Options = {
  strict: true,
  strictTypes: false,
  allErrors: false,
  removeAdditional: false,
  useDefaults: true,
  keywords: ['examples'],
  formats: { 'date-time': (text: string) => DATE_TIME.test(text) && !Number.isNaN(Date.parse(text)) },
};

/** Makes the app check requests this way. */
export function installValidation(app: FastifyInstance): void {
  const exact = new Ajv(OPTIONS);
  const fromText = new Ajv({ ...OPTIONS, coerceTypes: true });
  app.setValidatorCompiler(({ schema, httpPart }: FastifyRouteSchemaDef<FastifySchema>) =>
    (httpPart === 'body' ? exact : fromText).compile(schema),
  );
}
