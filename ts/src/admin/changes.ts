/**
 * What a request has changed, for the audit log. A handler says it with {@link noteChange}; the log is written in one
 * place, before the answer leaves.
 */
import type { FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyRequest {
    changeNotes: ChangeNote[];
  }
}

/** One object that a request has changed, as the API shows it: without secrets. */
export interface ChangeNote {
  /** Kind of the object, singular, as `key`. */
  readonly object: string;
  readonly id: string | number;
  /** Null for an object that has just been made. */
  readonly before: unknown;
  /** Null for an object that is gone. */
  readonly after: unknown;
}

/**
 * Says what a request has changed. The action is the route's operation.
 *
 * @public
 */
export function noteChange({ changeNotes }: Pick<FastifyRequest, 'changeNotes'>, note: ChangeNote): void {
  changeNotes.push(note);
}
