import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  BUILT_IN_ROLES,
  type BuiltInRole,
  type Permission,
  PERMISSIONS,
} from '../../src/governance/access.js';
import { type Harness, harness, NOW, TOKEN } from './harness.js';

let h: Harness;

beforeAll(async () => {
  h = await harness();
});

beforeEach(() => h.reset());

afterAll(() => h.close());

type Method = NonNullable<InjectOptions['method']>;

/** A request with a token of one's own. */
function as(token: string, method: Method, url: string, body?: unknown): Promise<LightMyRequestResponse> {
  return h.call(method, url, body, { authorization: `Bearer ${token}` });
}

async function makeToken(
  role: string,
  more: object = {},
  by = TOKEN,
): Promise<{ id: number; secret: string }> {
  const scope = role === 'team_admin' ? { scope: { teams: ['search'] } } : {};
  const name = `${role}-${Math.random()}`;
  const answer = await as(by, 'POST', '/admin/v1/tokens', { name, role, ...scope, ...more });
  expect(answer.statusCode, answer.body).toBe(201);
  const { token, secret } = answer.json() as { token: { id: number }; secret: string };
  return { id: token.id, secret };
}

/** Permission and scope of every route but the public ones, from its documentation. */
function routes(): { route: string; permission: Permission | 'authenticated'; scoped: boolean }[] {
  const { paths } = h.app.swagger() as unknown as {
    paths: Record<string, Record<string, { 'x-permission'?: Permission; 'x-scoped'?: boolean }>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => {
      const permission = operation['x-permission'];
      if (permission === undefined) return [];
      const route = `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
      return [{ route, permission, scoped: operation['x-scoped'] === true }];
    }),
  );
}

/** What each role is for, apart from the code: resources it may read and write. */
const TABLE: Record<BuiltInRole, { read: readonly string[]; write: readonly string[] }> = {
  owner: { read: ['*'], write: ['*'] },
  admin: {
    read: ['*'],
    write: ['customers', 'teams', 'users', 'tags', 'keys', 'provider_keys', 'config', 'tokens', 'roles'],
  },
  operator: {
    read: 'customers teams users tags keys providers provider_keys models prices usage config health metrics'.split(
      ' ',
    ),
    write: ['customers', 'teams', 'users', 'tags', 'keys', 'provider_keys', 'config'],
  },
  team_admin: { read: ['teams', 'users', 'keys', 'usage'], write: ['users', 'keys'] },
  viewer: {
    read: 'customers teams users tags keys providers provider_keys models prices usage config health metrics'.split(
      ' ',
    ),
    write: [],
  },
};

function expected(role: BuiltInRole, permission: Permission | 'authenticated', scoped: boolean): boolean {
  if (permission === 'authenticated') return true;
  const [resource = '', verb = ''] = permission.split(':');
  const allowed = TABLE[role][verb as 'read' | 'write'];
  return (allowed.includes('*') || allowed.includes(resource)) && (role !== 'team_admin' || scoped);
}

describe('check 64, 65: the walk of every route with every role', () => {
  it('has a permission for every route but the probes', () => {
    const open = ['GET /healthz', 'GET /readyz'];
    const served = h.app.routeList.filter((route) => !route.startsWith('HEAD ') && !open.includes(route));
    expect(
      routes()
        .map(({ route }) => route)
        .sort(),
    ).toEqual([...served].sort());
  });

  it.each(Object.keys(BUILT_IN_ROLES) as BuiltInRole[])(
    '%s reaches what its row of the table says',
    async (role) => {
      const { secret } = await makeToken(role);
      for (const { route, permission, scoped } of routes()) {
        const [method, path] = route.split(' ') as [Method, string];
        const answer = await as(secret, method, path.replaceAll(/:\w+/g, '4294967295'));
        const refused = answer.statusCode === 403 && answer.body.includes('"forbidden"');
        expect(refused, `${role}: ${route} answered ${answer.statusCode}`).toBe(
          !expected(role, permission, scoped),
        );
        expect(answer.statusCode, `${role}: ${route}`).not.toBe(401);
      }
    },
  );

  it.each(['PATCH', 'PUT', 'DELETE', 'POST'] as const)(
    '%s to what is not served is no way round',
    async (method) => {
      const { secret } = await makeToken('viewer');
      expect((await as(secret, method, '/admin/v1/nothing')).statusCode).toBe(404);
    },
  );
});

describe('check 65: nobody grants what they lack', () => {
  const roles = Object.keys(BUILT_IN_ROLES) as BuiltInRole[];

  it.each(roles)('an admin making a token of %s', async (role) => {
    const admin = await makeToken('admin');
    const body = { name: 'x', role, ...(role === 'team_admin' && { scope: { teams: ['search'] } }) };
    const answer = await as(admin.secret, 'POST', '/admin/v1/tokens', body);
    expect(answer.statusCode).toBe(role === 'owner' ? 403 : 201);
    if (role === 'owner') {
      expect(answer.json()).toMatchObject({ error: { code: 'grant_exceeds_actor', path: 'body.role' } });
    }
  });

  it('nor changes, rotates or revokes the token of one who may do more', async () => {
    const admin = await makeToken('admin');
    const owner = await makeToken('owner');
    const own = await makeToken('viewer');
    for (const [method, path, body] of [
      ['PATCH', `/tokens/${owner.id}`, { name: 'taken over' }],
      ['POST', `/tokens/${owner.id}/rotate`, {}],
      ['DELETE', `/tokens/${owner.id}`, undefined],
      ['PATCH', `/tokens/${own.id}`, { role: 'owner' }],
    ] as const) {
      const answer = await as(admin.secret, method, `/admin/v1${path}`, body);
      expect(answer.statusCode, path).toBe(403);
      expect(answer.json()).toMatchObject({ error: { code: 'grant_exceeds_actor' } });
    }
    expect((await as(owner.secret, 'GET', '/admin/v1/me')).statusCode).toBe(200);
  });

  it('nor makes, widens or deletes a role with more', async () => {
    const admin = await makeToken('admin');
    const all = { permissions: [...PERMISSIONS] };
    expect((await as(admin.secret, 'PUT', '/admin/v1/roles/most', all)).statusCode).toBe(403);
    expect((await h.call('PUT', '/admin/v1/roles/most', all)).statusCode).toBe(200);
    const less = { permissions: ['keys:read'] };
    expect((await as(admin.secret, 'PUT', '/admin/v1/roles/most', less)).statusCode).toBe(403);
    expect((await as(admin.secret, 'DELETE', '/admin/v1/roles/most')).statusCode).toBe(403);
    expect((await as(admin.secret, 'POST', '/admin/v1/tokens', { name: 'x', role: 'most' })).statusCode).toBe(
      403,
    );
  });

  it('nor by a role that lets it manage tokens and little else', async () => {
    const permissions = ['tokens:read', 'tokens:write', 'keys:read'];
    await h.call('PUT', '/admin/v1/roles/helpdesk', { permissions });
    const helpdesk = await makeToken('helpdesk');
    const viewer = await as(helpdesk.secret, 'POST', '/admin/v1/tokens', { name: 'v', role: 'viewer' });
    expect(viewer.statusCode).toBe(403);
    expect(
      (await as(helpdesk.secret, 'POST', '/admin/v1/tokens', { name: 'h', role: 'helpdesk' })).statusCode,
    ).toBe(201);
  });

  it('nor lets a token outlive the one that makes it', async () => {
    const expires_at = new Date(NOW + 60_000).toISOString();
    const short = await makeToken('admin', { expires_at });
    const later = new Date(NOW + 60_001).toISOString();
    for (const expiry of [undefined, null, later]) {
      const body = { name: 'x', role: 'viewer', ...(expiry !== undefined && { expires_at: expiry }) };
      const answer = await as(short.secret, 'POST', '/admin/v1/tokens', body);
      expect(answer.json()).toMatchObject({
        error: { code: 'grant_exceeds_actor', path: 'body.expires_at' },
      });
    }
    await makeToken('viewer', { expires_at }, short.secret);
  });

  it('check 70: no field makes a token more than its role', async () => {
    for (const extra of [
      { permissions: ['owners:write'] },
      { kind: 'bootstrap' },
      { id: 1 },
      { sha256: 'a' },
    ]) {
      const answer = await h.call('POST', '/admin/v1/tokens', { name: 'x', role: 'viewer', ...extra });
      expect(answer.statusCode).toBe(400);
    }
  });
});

describe('a service token', () => {
  it('is 256 random bits behind a prefix, shown once', async () => {
    const { id, secret } = await makeToken('viewer');
    expect(secret).toMatch(/^slc-adm-[\w-]{43}$/);
    const shown = await h.call('GET', `/admin/v1/tokens/${id}`);
    expect(shown.json()).toMatchObject({
      hint: secret.slice(-4),
      role: 'viewer',
      state: 'active',
      scope: null,
    });
    expect(shown.body + (await h.call('GET', '/admin/v1/tokens')).body).not.toContain(secret);
  });

  it('check 74: ends at its expiry', async () => {
    const { secret } = await makeToken('viewer', { expires_at: new Date(NOW + 1_000).toISOString() });
    expect((await as(secret, 'GET', '/admin/v1/me')).statusCode).toBe(200);
    h.now = NOW + 1_000;
    expect((await as(secret, 'GET', '/admin/v1/me')).statusCode).toBe(401);
  });

  it('check 42, 74: revoked, it is refused at once, in the same bytes as any other', async () => {
    const { id, secret } = await makeToken('viewer');
    expect((await h.call('DELETE', `/admin/v1/tokens/${id}`)).json()).toMatchObject({ state: 'revoked' });
    const revoked = await as(secret, 'GET', '/admin/v1/me');
    expect(revoked.statusCode).toBe(401);
    expect(revoked.body).toBe((await as('slc-adm-unknown', 'GET', '/admin/v1/me')).body);
    expect((await h.call('DELETE', `/admin/v1/tokens/${id}`)).statusCode).toBe(200);
    expect((await h.call('PATCH', `/admin/v1/tokens/${id}`, { name: 'again' })).statusCode).toBe(409);
  });

  it('check 49: rotates with overlap', async () => {
    const { id, secret } = await makeToken('viewer');
    const answer = await h.call('POST', `/admin/v1/tokens/${id}/rotate`, { overlap_seconds: 60 });
    const { secret: next } = answer.json() as { secret: string };
    for (const token of [secret, next]) expect((await as(token, 'GET', '/admin/v1/me')).statusCode).toBe(200);
    h.now = NOW + 60_000;
    expect((await as(secret, 'GET', '/admin/v1/me')).statusCode).toBe(401);
    expect((await as(next, 'GET', '/admin/v1/me')).statusCode).toBe(200);
  });

  it('says who it is, and when it was last used, to the minute', async () => {
    const { id, secret } = await makeToken('team_admin');
    h.now = NOW + 450_000;
    expect((await as(secret, 'GET', '/admin/v1/me')).json()).toMatchObject({
      kind: 'token',
      id: String(id),
      role: 'team_admin',
      permissions: PERMISSIONS.filter((one) =>
        (BUILT_IN_ROLES.team_admin as readonly string[]).includes(one),
      ),
      scope: { teams: ['search'] },
    });
    const { last_used_at: last } = (await h.call('GET', `/admin/v1/tokens/${id}`)).json() as {
      last_used_at: string;
    };
    expect(last).toBe(new Date(NOW + 420_000).toISOString());
  });

  it.each([
    [{ name: 'a', role: 'nobody' }, 'body.role'],
    [{ name: 'a', role: 'team_admin' }, 'body.scope'],
    [{ name: 'a', role: 'viewer', expires_at: new Date(NOW).toISOString() }, 'body.expires_at'],
    [{ name: ' a', role: 'viewer' }, 'body.name'],
    [{ role: 'viewer' }, 'body.name'],
  ])('is not made from %j', async (body, path) => {
    const answer = await h.call('POST', '/admin/v1/tokens', body);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ error: { code: 'invalid_request', path } });
  });

  it('has a name of its own', async () => {
    await h.call('POST', '/admin/v1/tokens', { name: 'ci', role: 'viewer' });
    const answer = await h.call('POST', '/admin/v1/tokens', { name: 'ci', role: 'viewer' });
    expect(answer.statusCode).toBe(409);
    expect(answer.json()).toMatchObject({ error: { code: 'token_name_taken' } });
  });

  it('is changed only as it was seen', async () => {
    const { id } = await makeToken('viewer');
    const path = `/admin/v1/tokens/${id}`;
    const { etag } = (await h.call('GET', path)).headers as { etag: string };
    const first = await h.call('PATCH', path, { name: 'first' }, { 'if-match': etag });
    expect(first.statusCode).toBe(200);
    const second = await h.call('PATCH', path, { name: 'second' }, { 'if-match': etag });
    expect(second.statusCode).toBe(412);
    expect((await h.call('GET', path)).headers['etag']).toBe(first.headers['etag']);
    expect((await h.call('DELETE', path, undefined, { 'if-match': etag })).statusCode).toBe(412);
  });
});

describe('a role', () => {
  it('that was made is followed at once, and stays while a token has it', async () => {
    await h.call('PUT', '/admin/v1/roles/keys-only', {
      permissions: ['keys:read'],
      description: 'Reads keys.',
    });
    const { id, secret } = await makeToken('keys-only');
    expect((await as(secret, 'GET', '/admin/v1/keys')).statusCode).toBe(200);
    await h.call('PUT', '/admin/v1/roles/keys-only', { permissions: ['usage:read'] });
    expect((await as(secret, 'GET', '/admin/v1/keys')).statusCode).toBe(403);
    expect((await h.call('DELETE', '/admin/v1/roles/keys-only')).json()).toMatchObject({
      error: { code: 'role_in_use' },
    });
    await h.call('DELETE', `/admin/v1/tokens/${id}`);
    expect((await h.call('DELETE', '/admin/v1/roles/keys-only')).statusCode).toBe(200);
  });

  it('is only tried with dry_run', async () => {
    const answer = await h.call('PUT', '/admin/v1/roles/tried?dry_run=true', { permissions: ['keys:read'] });
    expect(answer.statusCode).toBe(200);
    expect((await h.call('GET', '/admin/v1/roles/tried')).statusCode).toBe(404);
  });

  it('that is built in stays as it is', async () => {
    for (const method of ['PUT', 'DELETE'] as const) {
      const body = method === 'PUT' ? { permissions: [] } : undefined;
      expect((await h.call(method, '/admin/v1/roles/viewer', body)).json()).toMatchObject({
        error: { code: 'role_built_in' },
      });
    }
  });
});
