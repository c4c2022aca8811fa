/** `/audit`: what was changed, by whom; the log as a file; whether its chain is whole. */
import { Readable } from 'node:stream';
import { type Static, Type } from 'typebox';
import type { AuditRepository } from '../../governance/access-ports.js';
import { type AuditEntry, OUTCOMES, verifyAudit } from '../../governance/audit.js';
import type { AdminApp } from '../app.js';
import { pageOf, pageQuery } from '../paging.js';
import type { AdminDependencies } from '../ports.js';
import { named, nullable, oneOf, record, refusals, timestamp, toTimestamp } from '../schemas.js';

const MAX_FILTER_CHARACTERS = 512;

/** Entries read at once while the whole log is walked. */
const BATCH = 500;

const State = Type.Unsafe<unknown>({
  description: 'The object as the API shows it; null for none. Never a secret.',
});

const Entry = named(
  'AuditEntry',
  record(
    {
      sequence: Type.Integer({ description: 'From 1, without gaps.' }),
      at: timestamp('When.'),
      actor: record({
        kind: Type.String({ description: '`bootstrap`, `token`, `cli` or `system`.' }),
        id: Type.String(),
        name: Type.String(),
        role: Type.String(),
      }),
      address: nullable(Type.String({ description: 'Peer address; null where there is none.' })),
      request_id: nullable(Type.String()),
      action: Type.String({ description: 'The operation, as `createKey`.' }),
      object: Type.String({ description: 'Kind of the object.' }),
      object_id: Type.String(),
      before: State,
      after: State,
      outcome: oneOf(OUTCOMES),
      previous_hash: Type.String({ description: '`hash` of the entry before; zeros for the first.' }),
      hash: Type.String({
        description: 'SHA-256 over the hash before, a line break, and the entry as canonical JSON.',
      }),
    },
    { description: 'One change, or one that was refused or failed.' },
  ),
);

const text = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: MAX_FILTER_CHARACTERS, description }));

const Query = record({
  ...pageQuery(
    Type.Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Entries before this sequence number.',
    }),
  ),
  from: Type.Optional(timestamp('At or after.')),
  to: Type.Optional(timestamp('Before.')),
  actor: text('By this actor, by name.'),
  action: text('This operation.'),
  object: text('This kind of object.'),
  object_id: text('This object.'),
  outcome: Type.Optional(oneOf(OUTCOMES)),
});

const Verification = record({
  ok: Type.Boolean(),
  entries: Type.Integer({ description: 'Entries that fit together, from the first.' }),
  head: Type.String({
    description: 'Hash of the last of them. Keep it elsewhere: it shows whether the end was cut off.',
  }),
  broken: nullable(
    record(
      { sequence: Type.Integer(), reason: Type.String() },
      { description: 'The first entry that does not fit.' },
    ),
  ),
});

function operation(operationId: string, summary: string) {
  return { operationId, summary, tags: ['audit'] };
}

const READ = { config: { permission: 'audit:read' } } as const;

/** Adds the routes. */
export function auditRoutes(app: AdminApp, { store }: AdminDependencies): void {
  app.addSchema(Entry.schema);

  app.get(
    '/audit',
    {
      ...READ,
      schema: {
        ...operation('listAudit', 'The audit log, newest first'),
        querystring: Query,
        response: {
          200: record({ entries: Type.Array(Entry.ref), next_after: nullable(Type.Integer()) }),
          ...refusals('invalid_request'),
        },
      },
    },
    async ({ query }) => {
      const entries = await store.audit.listAudit(filterOf(query), query.limit + 1);
      const page = pageOf(entries, query.limit, ({ sequence }) => sequence);
      return { entries: page.entries.map(entryView), next_after: page.nextAfter };
    },
  );

  app.get(
    '/audit/export',
    {
      ...READ,
      schema: {
        ...operation('exportAudit', 'The whole audit log, oldest first, one JSON object per line'),
        produces: ['application/x-ndjson'],
        response: { 200: Type.String(), ...refusals() },
      },
    },
    async (_, reply) => reply.type('application/x-ndjson').send(Readable.from(lines(store.audit)) as never),
  );

  app.get(
    '/audit/verify',
    {
      ...READ,
      schema: {
        ...operation('verifyAudit', 'Whether the chain of the audit log is whole'),
        response: { 200: Verification, ...refusals() },
      },
    },
    async () => {
      const { broken, entries, head } = await verifyAudit(store.audit);
      return { ok: broken === null, entries, head, broken };
    },
  );
}

async function* lines(log: AuditRepository): AsyncGenerator<string> {
  let after = -1;
  for (;;) {
    const batch = await log.auditAfter(after, BATCH);
    const last = batch.at(-1);
    if (last === undefined) return;
    yield batch.map((entry) => `${JSON.stringify(entryView(entry))}\n`).join('');
    after = last.sequence;
  }
}

function filterOf(query: Static<typeof Query>) {
  const { after, from, to, actor, action, object, object_id: objectId, outcome } = query;
  return {
    ...(after !== undefined && { before: after }),
    ...(from !== undefined && { fromMs: Date.parse(from) }),
    ...(to !== undefined && { toMs: Date.parse(to) }),
    ...(actor !== undefined && { actor }),
    ...(action !== undefined && { action }),
    ...(object !== undefined && { object }),
    ...(objectId !== undefined && { objectId }),
    ...(outcome !== undefined && { outcome }),
  };
}

function entryView(entry: AuditEntry): Static<(typeof Entry)['schema']> {
  const { actorKind: kind, actorId: id, actorName: name, actorRole: role } = entry;
  return {
    sequence: entry.sequence,
    at: toTimestamp(entry.at),
    actor: { kind, id, name, role },
    address: entry.address,
    request_id: entry.requestId,
    action: entry.action,
    object: entry.object,
    object_id: entry.objectId,
    before: stateOf(entry.before),
    after: stateOf(entry.after),
    outcome: entry.outcome as (typeof OUTCOMES)[number],
    previous_hash: entry.previousHash,
    hash: entry.hash,
  };
}

/** A text that somebody has tampered with is shown as it is. */
function stateOf(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
