/**
 * `Idempotency-Key`: a change that was sent twice, because its answer was lost on the way, happens once. The answer to the
 * first request is kept for a day and repeated.
 *
 * Answers hold secrets that are shown once. They are sealed with a key derived from the caller's token, of which the store
 * has a digest only: who reads the database learns nothing, and no master key is needed. An idempotency key thereby
 * belongs to the secret it was sent with, and is another one after that has been rotated.
 */
import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { decrypt, encrypt } from '../governance/envelope.js';
import { mayChange } from './audit.js';
import { AdminError, type AdminErrorCode, ADMIN_ERRORS } from './errors.js';
import type { AdminDependencies } from './ports.js';
import { ErrorSchema } from './schemas.js';

/** How long an answer is kept. */
const KEPT_MS = 24 * 3_600_000;

/** A request that has not been answered in this time never will: its process has ended. */
const ABANDONED_MS = 120_000;

/** Most answers kept; the oldest make room. */
const MAX_ANSWERS = 10_000;

/** Longest key, and longest answer that is kept, in characters. */
const MAX_KEY_CHARACTERS = 255;
const MAX_ANSWER_CHARACTERS = 1_048_576;

const KEY_BYTES = 32;
const CODES: readonly AdminErrorCode[] = [
  'invalid_request',
  'idempotency_key_in_use',
  'idempotency_key_reused',
];

declare module 'fastify' {
  interface FastifyRequest {
    /** Where the answer is to be kept; null where it is not. */
    keptAnswer: KeptAnswer | null;
  }
}

/** Names and seals an answer. */
interface KeptAnswer {
  readonly id: string;
  readonly sealKey: Buffer;
}

type Parts = Pick<AdminDependencies, 'store' | 'now'>;

/** Adds the hooks. Call it after the audit's, so that an answer whose entry failed is not kept. */
export function installIdempotency(app: FastifyInstance, parts: Parts): void {
  app.decorateRequest('keptAnswer', null);
  app.addHook('onRoute', documentHeader);
  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key'];
    if (request.method !== 'POST' || typeof key !== 'string' || !mayChange(request)) return undefined;
    return replay(parts, request, reply, key);
  });
  app.addHook('onSend', async ({ keptAnswer, log }, reply, payload) => {
    if (keptAnswer === null) return;
    await keep(parts, keptAnswer, reply, payload).catch((error: unknown) =>
      log.error({ err: error }, 'an answer could not be kept to be repeated'),
    );
  });
}

/** Answers what was answered before, or lets the request run and its answer be kept. */
async function replay(
  { store, now }: Parts,
  request: FastifyRequest,
  reply: FastifyReply,
  key: string,
): Promise<FastifyReply | undefined> {
  const { id, sealKey, requestMac } = derive(request, key);
  const at = now();
  const row = { id, requestMac, sealedAnswer: null, createdAt: at };
  const since = { done: at - KEPT_MS, running: at - ABANDONED_MS };
  const kept = await store.answers.claimAnswer(row, since, MAX_ANSWERS);
  if (kept === null) {
    request.keptAnswer = { id, sealKey };
    return undefined;
  }
  if (kept.requestMac !== requestMac) {
    throw refused(
      'idempotency_key_reused',
      'the key was sent with another request; every change needs a key of its own',
    );
  }
  if (kept.sealedAnswer === null) {
    throw refused('idempotency_key_in_use', 'the request with this key is still running');
  }
  const answer = JSON.parse(decrypt(sealKey, kept.sealedAnswer, id).toString('utf8')) as Answer;
  request.isLogged = true;
  void reply
    .code(answer.status)
    .header('idempotency-replayed', 'true')
    .type('application/json; charset=utf-8');
  if (answer.etag !== null) void reply.header('etag', answer.etag);
  return reply.send(answer.body);
}

interface Answer {
  readonly status: number;
  readonly etag: string | null;
  readonly body: string;
}

/** Only what succeeded is repeated; what was refused has changed nothing, and may be tried again. */
async function keep(
  { store }: Parts,
  { id, sealKey }: KeptAnswer,
  reply: FastifyReply,
  payload: unknown,
): Promise<void> {
  const fits = typeof payload === 'string' && payload.length <= MAX_ANSWER_CHARACTERS;
  if (reply.statusCode >= 300 || !fits) return store.answers.dropAnswer(id);
  const etag = reply.getHeader('etag');
  const answer: Answer = {
    status: reply.statusCode,
    etag: typeof etag === 'string' ? etag : null,
    body: payload,
  };
  const text = Buffer.from(JSON.stringify(answer), 'utf8');
  return store.answers.keepAnswer(id, encrypt(sealKey, text, id, randomBytes));
}

/** Everything that follows from the caller's token and the key: a name, a key for the answer, a mark of the request. */
function derive(request: FastifyRequest, key: string): KeptAnswer & { requestMac: string } {
  const { authorization = '' } = request.headers;
  const part = (purpose: string): Buffer =>
    Buffer.from(
      hkdfSync(
        'sha256',
        authorization.replace(/^\S+ +/, ''),
        key,
        `sluice idempotency ${purpose}`,
        KEY_BYTES,
      ),
    );
  const said = JSON.stringify([request.method, request.url, request.body ?? null]);
  return {
    id: part('name').toString('hex'),
    sealKey: part('answer'),
    requestMac: createHmac('sha256', part('request')).update(said, 'utf8').digest('hex'),
  };
}

function refused(code: AdminErrorCode, message: string): AdminError {
  return new AdminError(code, message, 'header.idempotency-key');
}

/** Every route that takes the header says so, and what it may be refused with. */
function documentHeader(route: RouteOptions): void {
  const { permission = 'public' } = route.config ?? {};
  const schema = route.schema as { headers?: TSchema; response?: Record<string, TSchema> } | undefined;
  if (route.method !== 'POST' || permission === 'public' || permission.endsWith(':read') || !schema) return;
  const { properties = {} } = (schema.headers ?? {}) as { properties?: Record<string, TSchema> };
  schema.headers = Type.Object({ ...properties, 'idempotency-key': Type.Optional(IdempotencyKey) });
  schema.response ??= {};
  for (const code of CODES) addRefusal(schema.response, code);
}

const IdempotencyKey = Type.String({
  minLength: 1,
  maxLength: MAX_KEY_CHARACTERS,
  description: 'Any text of your own. The same request with the same key within a day is carried out once.',
});

function addRefusal(responses: Record<string, TSchema>, code: AdminErrorCode): void {
  const status = ADMIN_ERRORS[code];
  const present = responses[status];
  const descriptions = present && 'description' in present ? String(present.description).split(' or ') : [];
  if (descriptions.includes(`\`${code}\``)) return;
  const description = [...descriptions, `\`${code}\``].join(' or ');
  responses[status] = { ...ErrorSchema.ref, description };
}
