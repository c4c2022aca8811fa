/** Entries of the audit log for what commands change in the database themselves. */

import { userInfo } from 'node:os';
import { ownerActor } from '../governance/access.js';
import { type AuditAct, type AuditDraft, draftOf } from '../governance/audit.js';

/** The entry of a change made by whoever runs the command, who may open the database and so do everything. */
export function commandEntry(act: Omit<AuditAct, 'outcome'>, at: number): AuditDraft {
  const { uid, username } = userInfo();
  const context = { at, actor: ownerActor('cli', String(uid), username), address: null, requestId: null };
  return draftOf(context, { ...act, outcome: 'done' });
}
