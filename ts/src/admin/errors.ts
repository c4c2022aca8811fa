/**
 * Everything the admin API answers when it cannot do what was asked: one shape, and one table of codes.
 * A message says what was found, where, and what was expected; it never repeats a secret.
 */
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { ProviderKeyNameTaken, TokenNameTaken } from '../governance/access-ports.js';
import { UnusableSecret } from '../governance/envelope.js';
import { InvalidKeyRequest } from '../governance/virtual-key.js';
import { EntityTaken, NameTaken, StoreUnavailable } from '../governance/ports.js';

/** HTTP status of each code. Codes are stable; messages are for people. */
export const ADMIN_ERRORS = {
  invalid_request: 400,
  unauthorized: 401,
  host_not_allowed: 403,
  forbidden: 403,
  grant_exceeds_actor: 403,
  not_found: 404,
  key_not_found: 404,
  entity_not_found: 404,
  token_not_found: 404,
  role_not_found: 404,
  provider_key_not_found: 404,
  key_name_taken: 409,
  entity_name_taken: 409,
  entity_owned_by_config: 409,
  entity_in_use: 409,
  key_owned_by_config: 409,
  key_revoked: 409,
  token_name_taken: 409,
  token_revoked: 409,
  role_built_in: 409,
  role_in_use: 409,
  provider_key_name_taken: 409,
  too_many_objects: 409,
  idempotency_key_in_use: 409,
  precondition_failed: 412,
  body_too_large: 413,
  unsupported_media_type: 415,
  config_refused: 422,
  idempotency_key_reused: 422,
  too_many_failures: 429,
  internal_error: 500,
  store_unavailable: 503,
} as const;

/** Machine-readable reason. */
export type AdminErrorCode = keyof typeof ADMIN_ERRORS;

/** The body of every answer that is not a success. */
export interface ErrorBody {
  readonly error: { readonly code: AdminErrorCode; readonly message: string; readonly path?: string };
}

/** A request that is refused. */
export class AdminError extends Error {
  constructor(
    readonly code: AdminErrorCode,
    message: string,
    /** Where in the request, as `body.limits.concurrency`. */
    readonly path?: string,
  ) {
    super(message);
    this.name = 'AdminError';
  }

  get status(): number {
    return ADMIN_ERRORS[this.code];
  }

  toBody(): ErrorBody {
    const { code, message, path } = this;
    return { error: { code, message, ...(path !== undefined && { path }) } };
  }
}

/** Fastify's own refusals that have a code of ours. */
const FASTIFY_CODES: Record<string, AdminErrorCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
};

/** Message of the answers to what must not explain itself further. */
const INTERNAL = 'the request failed inside the gateway; its log has the cause under this request id';

/** Turns whatever a route threw into an answer, and logs what is our fault. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const answer = asAdminError(error);
  if (answer.status >= 500) request.log.error({ err: error }, 'admin request failed');
  if (answer.code === 'unauthorized') void reply.header('www-authenticate', 'Bearer');
  return reply.code(answer.status).send(answer.toBody());
}

/** Answers what is not HTTP, on the bare socket, and ends the connection. */
export function answerBrokenHttp(_error: unknown, socket: Socket): void {
  if (socket.writable) {
    const body = JSON.stringify(
      new AdminError('invalid_request', 'this is not a valid HTTP request').toBody(),
    );
    const head = `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
    socket.write(`${head}Connection: close\r\n\r\n${body}`);
  }
  socket.destroySoon();
}

/** The refusal behind an error. */
export function asAdminError(error: unknown): AdminError {
  if (error instanceof AdminError) return error;
  if (error instanceof NameTaken) return new AdminError('key_name_taken', error.message, 'body.name');
  if (error instanceof TokenNameTaken) return new AdminError('token_name_taken', error.message, 'body.name');
  if (error instanceof ProviderKeyNameTaken)
    return new AdminError('provider_key_name_taken', error.message, 'body.name');
  if (error instanceof UnusableSecret) return new AdminError('config_refused', error.message);
  if (error instanceof EntityTaken) return new AdminError('entity_name_taken', error.message, 'body.name');
  if (error instanceof InvalidKeyRequest) return fromKeyRequest(error);
  if (error instanceof StoreUnavailable)
    return new AdminError('store_unavailable', `the store cannot be used at the moment: ${error.message}`);
  if (isDatabaseError(error))
    return new AdminError('store_unavailable', 'the store cannot be used at the moment');
  return fromFastify(error as Partial<FastifyError>);
}

function fromKeyRequest(error: InvalidKeyRequest): AdminError {
  const [first] = error.problems;
  return new AdminError('invalid_request', error.message, first && `body.${snakeCase(first.field)}`);
}

function fromFastify(error: Partial<FastifyError>): AdminError {
  const { validation, validationContext, statusCode, message = '' } = error;
  if (validation) return fromValidation(validation, validationContext ?? 'body');
  const code = FASTIFY_CODES[error.code ?? ''];
  if (code === 'unsupported_media_type') return new AdminError(code, `${message}; expected application/json`);
  if (code) return new AdminError(code, message);
  const clientsFault = statusCode !== undefined && statusCode >= 400 && statusCode < 500;
  return clientsFault
    ? new AdminError('invalid_request', message)
    : new AdminError('internal_error', INTERNAL);
}

type Validation = NonNullable<FastifyError['validation']>;

/** The first complaint of the schema, with the name of the field that is missing or too much in the path. */
function fromValidation(validation: Validation, context: string): AdminError {
  const [first] = validation;
  const params = first?.params ?? {};
  const name = params['missingProperty'] ?? params['additionalProperty'];
  const segments = (first?.instancePath ?? '').split('/').slice(1);
  if (typeof name === 'string') segments.push(name);
  const path = [
    context,
    ...segments.map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~')),
  ].join('.');
  return new AdminError('invalid_request', complaint(first), path);
}

function complaint(problem: Validation[number] | undefined): string {
  const { keyword, params = {}, message = 'is not valid' } = problem ?? {};
  if (keyword === 'additionalProperties')
    return 'unknown field; see the OpenAPI document for the ones there are';
  if (keyword === 'required') return 'a required field is missing';
  if (keyword === 'enum') return `must be one of ${JSON.stringify(params['allowedValues'])}`;
  if (keyword === 'const') return `must be ${JSON.stringify(params['allowedValue'])}`;
  return message;
}

/** `requestsPerMinute` in the domain is `requests_per_minute` in the API. */
function snakeCase(path: string): string {
  return path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function isDatabaseError(error: unknown): boolean {
  return error instanceof Error && error.name === 'SqliteError';
}
