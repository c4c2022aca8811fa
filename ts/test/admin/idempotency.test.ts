import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Harness, harness, NOW } from './harness.js';

let h: Harness;

beforeAll(async () => {
  h = await harness();
});

beforeEach(() => h.reset());

afterAll(() => h.close());

const KEY = { 'idempotency-key': 'once' };
const BODY = { name: 'ci', role: 'viewer' };

const create = (body: object = BODY, headers: Record<string, string> = KEY) =>
  h.call('POST', '/admin/v1/tokens', body, headers);

async function tokens(): Promise<number> {
  return (await h.call('GET', '/admin/v1/tokens')).json<{ tokens: unknown[] }>().tokens.length;
}

describe('Idempotency-Key', () => {
  it('makes a change happen once, and repeats its answer', async () => {
    const first = await create();
    const second = await create();
    expect([first.statusCode, second.statusCode]).toEqual([201, 201]);
    expect(second.body).toBe(first.body);
    expect(second.headers['idempotency-replayed']).toBe('true');
    expect(second.headers['content-type']).toBe(first.headers['content-type']);
    expect(await tokens()).toBe(1);
    const { entries } = (await h.call('GET', '/admin/v1/audit')).json() as { entries: unknown[] };
    expect(entries).toHaveLength(1);
  });

  it('refuses the key with another body or path', async () => {
    await create();
    const other = await create({ ...BODY, name: 'other' });
    expect(other.statusCode).toBe(422);
    expect(other.json()).toMatchObject({ error: { code: 'idempotency_key_reused' } });
    expect((await h.call('POST', '/admin/v1/tokens/1/rotate', {}, KEY)).statusCode).toBe(422);
    expect(await tokens()).toBe(1);
  });

  it('answers 409 while the first request runs', async () => {
    const { access } = h.store;
    const insert = access.insertToken.bind(access);
    access.insertToken = async (...args) => {
      await new Promise((resolve) => {
        setTimeout(resolve, 100);
      });
      return insert(...args);
    };
    const answers = await Promise.all([create(), create(), create()]);
    expect(answers.map(({ statusCode }) => statusCode).toSorted((a, b) => a - b)).toEqual([201, 409, 409]);
    expect(answers.map(({ body }) => body).join()).toContain('idempotency_key_in_use');
    expect(await tokens()).toBe(1);
  });

  it('lets a request that was refused be tried again', async () => {
    await create(BODY, {});
    expect((await create()).statusCode).toBe(409);
    const [first] = (await h.call('GET', '/admin/v1/tokens')).json<{ tokens: { id: number }[] }>().tokens;
    await h.call('DELETE', `/admin/v1/tokens/${first?.id}`);
    expect((await create()).statusCode).toBe(201);
  });

  it('belongs to its caller', async () => {
    const { secret } = (await create({ name: 'boss', role: 'owner' })).json() as { secret: string };
    const answer = await create(BODY, { ...KEY, authorization: `Bearer ${secret}` });
    expect(answer.statusCode).toBe(201);
    expect(answer.headers['idempotency-replayed']).toBeUndefined();
  });

  it('is forgotten after a day', async () => {
    await create();
    h.now = NOW + 24 * 3_600_000 + 1;
    expect((await create({ ...BODY, name: 'other' })).statusCode).toBe(201);
  });

  it('is not looked at where nothing changes', async () => {
    const document = (text: string) => h.call('POST', '/admin/v1/config/validate', { document: text }, KEY);
    expect((await document('a')).statusCode).toBe(200);
    expect((await document('b')).statusCode).toBe(200);
  });

  it.each(['', 'x'.repeat(256)])('of %j is refused', async (key) => {
    expect((await create(BODY, { 'idempotency-key': key })).statusCode).toBe(400);
  });
});
