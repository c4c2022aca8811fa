/** Checking of requests: bodies exactly as their schema says, path and query with text turned into numbers. */
import { Ajv, type Options } from 'ajv';
import type { FastifySchema, FastifySchemaCompiler, FastifyServerOptions } from 'fastify';

/** RFC 3339: a date, a time and a zone. */
const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

/** Unknown fields are errors, never dropped or filled in silently: a misspelt limit must not become no limit. */
const OPTIONS: Options = {
  strict: true,
  strictTypes: false,
  allErrors: false,
  removeAdditional: false,
  useDefaults: true,
  formats: { 'date-time': (text: string) => DATE_TIME.test(text) && !Number.isNaN(Date.parse(text)) },
};

/**
 * The compiler of the app's schemas, as a factory: one set on the app itself would be replaced by Fastify's own in every
 * context that adds schemas.
 */
export const buildValidator = compilerFactory as unknown as ValidatorFactory;

/** Fastify types the factory as that of its own compiler, which takes other arguments than it is called with. */
type ValidatorFactory = NonNullable<
  NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>['buildValidator']
>;

function compilerFactory(): FastifySchemaCompiler<FastifySchema> {
  const exact = new Ajv(OPTIONS);
  // A text such as 1e400 becomes an infinite number, which bounds hold for only when numbers are not looked at strictly.
  const fromText = new Ajv({ ...OPTIONS, coerceTypes: true, strictNumbers: false });
  return ({ schema, httpPart }) => (httpPart === 'body' ? exact : fromText).compile(schema);
}
