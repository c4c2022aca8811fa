/** Answers to requests that named an idempotency key, kept to be repeated. */
import type { AnswerRepository, AnswerRow } from '../governance/access-ports.js';
import type { Database } from './database.js';

/** The answers. */
export class AnswerStore implements AnswerRepository {
  constructor(private readonly database: Database) {}

  claimAnswer(
    row: AnswerRow,
    since: { done: number; running: number },
    most: number,
  ): Promise<AnswerRow | null> {
    return this.database.quiet.transaction().execute(async (tx) => {
      await tx.deleteFrom('admin_answer').where('created_at', '<', since.done).execute();
      const kept = await tx
        .selectFrom('admin_answer')
        .selectAll()
        .where('id', '=', row.id)
        .executeTakeFirst();
      const abandoned = kept?.sealed_answer === null && kept.created_at < since.running;
      if (kept && !abandoned) {
        const { id, request_mac: requestMac, sealed_answer: sealedAnswer, created_at: createdAt } = kept;
        return { id, requestMac, sealedAnswer, createdAt };
      }
      await tx.deleteFrom('admin_answer').where('id', '=', row.id).execute();
      const surplus = tx.selectFrom('admin_answer').select('created_at').orderBy('created_at', 'desc');
      const oldest = await surplus
        .offset(most - 1)
        .limit(1)
        .executeTakeFirst();
      if (oldest) await tx.deleteFrom('admin_answer').where('created_at', '<=', oldest.created_at).execute();
      const { id, requestMac: request_mac, createdAt: created_at } = row;
      await tx
        .insertInto('admin_answer')
        .values({ id, request_mac, sealed_answer: null, created_at })
        .execute();
      return null;
    });
  }

  async keepAnswer(id: string, sealedAnswer: string): Promise<void> {
    const { quiet } = this.database;
    await quiet
      .updateTable('admin_answer')
      .set({ sealed_answer: sealedAnswer })
      .where('id', '=', id)
      .execute();
  }

  async dropAnswer(id: string): Promise<void> {
    await this.database.quiet.deleteFrom('admin_answer').where('id', '=', id).execute();
  }
}
