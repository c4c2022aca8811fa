/**
 * Writing the audit log, in one place: whatever a route that may change something has done is in the log before its answer
 * leaves. Where the store writes a change and its entry in one transaction, the handler says so; for everything else the
 * entry follows the change, and a request whose entry cannot be written fails, so that nobody takes it for done.
 *
 * Requests that were refused for want of a permission, and those that failed, are logged as well; those that are merely
 * wrong (400, 404, 409, 412, 422) changed nothing and are not.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Audited } from '../governance/access-ports.js';
import { type AuditContext, draftOf, type Outcome } from '../governance/audit.js';
import type { ChangeNote } from './changes.js';
import { AdminError } from './errors.js';
import type { AdminDependencies } from './ports.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The log has what there is to say about this request, should it succeed. */
    isLogged: boolean;
    /** The hook has run: it runs again for the answer to its own failure. */
    isLogWritten: boolean;
  }
}

type Parts = Pick<AdminDependencies, 'store' | 'now'>;

/** Adds the hook. Call it before any route is added. */
export function installAudit(app: FastifyInstance, parts: Parts): void {
  app.decorateRequest('isLogged', false);
  app.decorateRequest('isLogWritten', false);
  app.addHook('onSend', async (request, reply) => {
    if (request.isLogWritten || !mayChange(request) || request.actor.role === 'none') return;
    request.isLogWritten = true;
    const outcome = outcomeOf(reply);
    if (outcome === null || (outcome === 'done' && request.isLogged)) return;
    await writeEntries(parts, request, reply, outcome);
  });
}

/**
 * The entry for a change that the store makes in one transaction with it. `objectOf` shows the object as the API does; the
 * entry then says what it was before and is after.
 */
export function auditedBy<T>(
  request: FastifyRequest,
  parts: Pick<Parts, 'now'>,
  note: (object: T) => ChangeNote,
  outcome: Outcome = 'done',
): Audited<T> {
  return (object) => {
    const { object: kind, id, before, after } = note(object);
    const act = { action: actionOf(request), object: kind, objectId: id, before, after, outcome };
    const draft = draftOf(contextOf(request, parts), act);
    request.isLogged = true;
    return draft;
  };
}

/** Whether a route can change anything: what takes no more than a permission to read cannot. */
export function mayChange({ method, routeOptions, query }: FastifyRequest): boolean {
  const { permission = 'public' } = routeOptions.config;
  if (method === 'GET' || method === 'HEAD' || permission === 'public' || permission.endsWith(':read'))
    return false;
  return (query as { dry_run?: unknown } | undefined)?.dry_run !== true;
}

async function writeEntries(
  { store, now }: Parts,
  request: FastifyRequest,
  reply: FastifyReply,
  outcome: Outcome,
): Promise<void> {
  const context = contextOf(request, { now });
  const notes =
    outcome === 'done' && request.changeNotes.length > 0 ? request.changeNotes : [bareNote(request, reply)];
  try {
    for (const { object, id, before, after } of notes) {
      const act = { action: actionOf(request), object, objectId: id, before, after, outcome };
      const { sequence, hash } = await store.audit.append(draftOf(context, act));
      request.log.info({ event: 'audit', sequence, hash, action: act.action, outcome }, 'audit log');
    }
  } catch (error) {
    request.log.error({ err: error }, 'the audit log could not be written');
    if (outcome === 'done') {
      throw new AdminError(
        'store_unavailable',
        'the change was made, but the audit log could not be written',
      );
    }
  }
}

function outcomeOf({ statusCode }: FastifyReply): Outcome | null {
  if (statusCode < 300) return 'done';
  if (statusCode === 403) return 'refused';
  return statusCode >= 500 ? 'failed' : null;
}

/** Which object the path names, where the handler has said nothing. */
function bareNote({ routeOptions, params }: FastifyRequest, { statusCode }: FastifyReply): ChangeNote {
  const [kind = 'object'] = (routeOptions.schema as { tags?: string[] } | undefined)?.tags ?? [];
  const names = Object.values((params as Record<string, unknown> | undefined) ?? {}).map(String);
  return {
    object: kind,
    id: names.join('/'),
    before: null,
    after: statusCode < 300 ? null : { status: statusCode },
  };
}

function actionOf({ routeOptions, method }: FastifyRequest): string {
  return routeOptions.schema?.operationId ?? `${method} ${routeOptions.url ?? ''}`;
}

function contextOf({ actor, ip, id }: FastifyRequest, { now }: Pick<Parts, 'now'>): AuditContext {
  return { at: now(), actor, address: ip, requestId: id };
}
