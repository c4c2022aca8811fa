/**
 * Entity tags. A tag is the digest of what is answered, so it changes exactly when the answer does and needs no column.
 * `If-Match` on a change is compared inside the section that changes, never before it.
 */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { canonicalJson } from '../governance/canonical-json.js';
import { AdminError } from './errors.js';

/** Longest `If-Match` that is read. */
const MAX_IF_MATCH_CHARACTERS = 1_024;

/** Characters of a digest in a tag: 132 bits. */
const TAG_CHARACTERS = 22;

/**
 * Headers of a change to one object, for the schema of its route.
 */
export const IfMatchHeaders = Type.Object({
  'if-match': Type.Optional(
    Type.String({
      maxLength: MAX_IF_MATCH_CHARACTERS,
      description:
        'Change the object only if its `ETag` is still this one; 412 otherwise. Without it the last change wins.',
    }),
  ),
});

/** The strong tag of an object as answered. */
export function etagOf(view: unknown): string {
  const digest = createHash('sha256').update(canonicalJson(view), 'utf8').digest('base64url');
  return `"${digest.slice(0, TAG_CHARACTERS)}"`;
}

/** Adds the tag of one object to the answer, and answers the object. */
export function tagged<T>(reply: FastifyReply, view: T): T {
  void reply.header('etag', etagOf(view));
  return view;
}

/** Throws `precondition_failed` unless the object, as it would be answered now, is the one the caller has seen. */
export type Precondition = (view: unknown) => void;

/**
 * What the request demands of the object it changes.
 */
export function preconditionOf({ headers }: Pick<FastifyRequest, 'headers'>): Precondition {
  const wanted = headers['if-match'];
  if (wanted === undefined || wanted.trim() === '*') return () => {};
  const tags = wanted.split(',').map((tag) => tag.trim());
  return (view) => {
    if (tags.includes(etagOf(view))) return;
    const message = 'the object has changed since it was read; read it again and decide anew';
    throw new AdminError('precondition_failed', message, 'header.if-match');
  };
}
