import { createHmac } from 'node:crypto';
import { request } from 'node:http';
import { connect } from 'node:net';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerError } from '../../src/admin/errors.js';
import { type GuardOptions, hostOf, installGuard, isLoopback } from '../../src/admin/guard.js';
import { listenAdmin, requireCredential, splitAddress, UnsafeAdminListener } from '../../src/admin/index.js';
import { type Harness, harness, sha256, TOKEN } from './harness.js';

let h: Harness;

beforeAll(async () => {
  h = await harness();
});

afterAll(() => h.close());

/** Every route of the app as `METHOD path`, from the app's own table. */
function routeTable(): { method: 'GET'; url: string }[] {
  const document = h.app.swagger() as { paths: Record<string, Record<string, unknown>> };
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
  );
  const served = h.app.routeList.filter((route) => !route.startsWith('HEAD ')).sort();
  expect(served, 'a route is missing from the OpenAPI document').toEqual(documented.sort());
  expect(h.app.routeList.length).toBeGreaterThan(15);
  return h.app.routeList.map((route) => {
    const [method, path] = route.split(' ') as ['GET', string];
    return { method, url: path.replace(':id', '1').replace(':name', 'some') };
  });
}

describe('every route', () => {
  it('but the probes answers 401 without the token, with the same bytes', async () => {
    const open: string[] = [];
    const bodies = new Set<string>();
    for (const { method, url } of routeTable()) {
      for (const authorization of [
        undefined,
        'Bearer wrong',
        'Bearer',
        TOKEN,
        `Basic ${TOKEN}`,
        `Bearer ${TOKEN}x`,
      ]) {
        const answer = await h.app.inject({ method, url, headers: authorization ? { authorization } : {} });
        if (answer.statusCode === 401) bodies.add(method === ('HEAD' as string) ? '' : answer.body);
        else open.push(`${method} ${url} ${answer.statusCode}`);
      }
    }
    expect([...new Set(open)].sort()).toEqual([
      'GET /healthz 200',
      'GET /readyz 200',
      'HEAD /healthz 200',
      'HEAD /readyz 200',
    ]);
    bodies.delete('');
    expect(bodies.size).toBe(1);
    expect(JSON.parse([...bodies][0]!)).toMatchObject({ error: { code: 'unauthorized' } });
  });

  it('check 52: takes no signed or unsigned token of another party for one of ours', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = part({ sub: 'owner', role: 'owner', aud: 'sluice', exp: 4_102_444_800 });
    const heads = [
      { alg: 'none', typ: 'JWT' },
      { alg: 'HS256', typ: 'JWT', kid: '../../dev/null' },
      { alg: 'RS256', typ: 'JWT', jku: 'http://127.0.0.1/keys' },
    ];
    const refused = await h.app.inject('/admin/v1/health');
    for (const head of heads) {
      for (const signature of ['', part({}), createHmac('sha256', '').update(claims).digest('base64url')]) {
        const authorization = `Bearer ${part(head)}.${claims}.${signature}`;
        const answer = await h.app.inject({ url: '/admin/v1/health', headers: { authorization } });
        expect([answer.statusCode, answer.body]).toEqual([401, refused.body]);
      }
    }
  });

  it('that does not exist answers 401 as well, so that nobody can map the API', async () => {
    expect((await h.app.inject('/admin/v1/nothing')).statusCode).toBe(401);
    expect((await h.call('GET', '/admin/v1/nothing')).json()).toMatchObject({ error: { code: 'not_found' } });
    expect((await h.call('PUT', '/admin/v1/keys')).statusCode).toBe(404);
  });

  it('is refused before its body is looked at', async () => {
    const answer = await h.app.inject({ method: 'POST', url: '/admin/v1/keys', payload: '{broken' });
    expect(answer.statusCode).toBe(401);
  });

  it('accepts any of the configured tokens', async () => {
    for (const authorization of [`Bearer ${TOKEN}`, `bearer  ${TOKEN}`, 'Bearer another-token']) {
      const answer = await h.app.inject({ url: '/admin/v1/health', headers: { authorization } });
      expect(answer.statusCode, authorization).toBe(200);
    }
  });

  it('is closed when there is no token at all', async () => {
    const closed = await harness({ tokenDigests: [] });
    expect((await closed.call('GET', '/admin/v1/health')).statusCode).toBe(401);
    expect((await closed.app.inject('/healthz')).statusCode).toBe(200);
    await closed.close();
  });
});

describe('a route', () => {
  const none = { tokenDigests: [], boundHost: '127.0.0.1', allowedHosts: [], failuresPerMinute: 0 };
  const parts = { actorOf: async () => null, now: Date.now };

  it.each([[undefined], ['keys:everything'], ['']])(
    'check 64: that declares the permission %j keeps the app from starting',
    (permission) => {
      const app = Fastify();
      installGuard(app, none, parts);
      const config = permission === undefined ? {} : { permission: permission as 'public' };
      expect(() => app.get('/', { config }, async () => 'reached')).toThrow(/must declare config.permission/);
    },
  );
});

describe('check 48: wrong tokens', () => {
  it('close the listener to their address for a minute, right token or not', async () => {
    const limited = await harness({ failuresPerMinute: 3 });
    const ask = (token: string, remoteAddress: string) => {
      const headers = { authorization: `Bearer ${token}` };
      return limited.app.inject({ url: '/admin/v1/health', headers, remoteAddress });
    };
    for (let n = 0; n < 3; n += 1) expect((await ask('wrong', '192.0.2.1')).statusCode).toBe(401);
    for (const token of ['wrong', TOKEN]) {
      const answer = await ask(token, '192.0.2.1');
      expect(answer.statusCode).toBe(429);
      expect(answer.headers['retry-after']).toBe('60');
      expect(answer.json()).toMatchObject({ error: { code: 'too_many_failures' } });
    }
    expect((await ask(TOKEN, '192.0.2.2')).statusCode).toBe(200);
    limited.now += 60_000;
    expect((await ask(TOKEN, '192.0.2.1')).statusCode).toBe(200);
    await limited.close();
  });
});

describe('check 73: probes', () => {
  it('reveal nothing but alive and ready', async () => {
    expect((await h.app.inject('/healthz')).json()).toEqual({ status: 'ok' });
    expect((await h.app.inject('/readyz')).json()).toEqual({ status: 'ready' });
    h.stats.ready = false;
    const draining = await h.app.inject('/readyz');
    h.stats.ready = true;
    expect(draining.statusCode).toBe(503);
    expect(draining.json()).toEqual({ status: 'not_ready' });
  });
});

describe('check 73: metrics', () => {
  it('need the token', async () => {
    expect((await h.app.inject('/metrics')).statusCode).toBe(401);
    const answer = await h.call('GET', '/metrics');
    expect(answer.headers['content-type']).toContain('text/plain');
    expect(answer.body).toBe('# metrics\n');
  });

  it('are open to this machine where that is configured, and to nobody else', async () => {
    const open = await harness({ metricsAccess: 'loopback' });
    for (const [remoteAddress, status] of [
      ['127.0.0.1', 200],
      ['::1', 200],
      ['::ffff:127.0.0.1', 200],
      ['192.0.2.7', 401],
    ] as const) {
      expect((await open.app.inject({ url: '/metrics', remoteAddress })).statusCode, remoteAddress).toBe(
        status,
      );
    }
    expect((await open.app.inject('/admin/v1/health')).statusCode).toBe(401);
    await open.close();
  });
});

describe('check 68: host', () => {
  /** The guard and one public route. */
  function guarded(options: Partial<GuardOptions>) {
    const app = Fastify();
    app.setErrorHandler(answerError);
    const none = { tokenDigests: [], boundHost: '127.0.0.1', allowedHosts: [], failuresPerMinute: 0 };
    installGuard(app, { ...none, ...options }, { actorOf: async () => null, now: Date.now });
    app.get('/', { config: { permission: 'public' } }, async () => 'reached');
    return app;
  }

  const cases: [Partial<GuardOptions>, string, number][] = [
    [{}, 'localhost', 200],
    [{}, 'LOCALHOST:8081', 200],
    [{}, '127.0.0.1:8081', 200],
    [{}, '127.0.0.5', 200],
    [{}, '[::1]:8081', 200],
    [{}, 'evil.example', 403],
    [{}, 'evil.example:8081', 403],
    [{}, '127.0.0.1.evil.example', 403],
    [{}, 'localhost.evil.example', 403],
    [{}, '192.0.2.7', 403],
    [{}, 'a b', 403],
    [{}, 'localhost/x', 403],
    [{ boundHost: '192.0.2.7' }, '192.0.2.7:8081', 200],
    [{ boundHost: '192.0.2.7' }, '192.0.2.8', 403],
    [{ boundHost: '0.0.0.0' }, '192.0.2.8:80', 200],
    [{ boundHost: '::' }, '[2001:db8::1]:80', 200],
    [{ boundHost: '0.0.0.0' }, 'evil.example', 403],
    [{ allowedHosts: ['admin.example'] }, 'admin.example:443', 200],
    [{ allowedHosts: ['admin.example'] }, 'x.admin.example', 403],
  ];

  it.each(cases)('with %j, %s is answered %i', async (options, host, status) => {
    const answer = await guarded(options).inject({ url: '/', headers: { host } });
    expect(answer.statusCode).toBe(status);
    if (status === 403)
      expect(answer.json()).toMatchObject({ error: { code: 'host_not_allowed', path: 'header.host' } });
  });

  it.each([
    ['http://localhost:8081', 200],
    ['http://evil.example', 403],
    ['null', 403],
    ['http://localhost:8081/path', 403],
  ])('an Origin of %s is answered %i, token or not', async (origin, status) => {
    const headers = { origin, authorization: `Bearer ${TOKEN}` };
    const answer = await h.app.inject({ url: '/admin/v1/health', headers });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('check 66, 67: no answer sets a cookie or allows another origin', async () => {
    const origin = { origin: 'http://localhost:3000' }; // passes the guard, and is another origin all the same
    const preflight = { ...origin, 'access-control-request-method': 'GET' };
    const answers = [];
    for (const { method, url } of routeTable().filter((route) => route.method === 'GET')) {
      answers.push(await h.call(method, url, undefined, origin));
      answers.push(await h.call('OPTIONS', url, undefined, preflight));
      answers.push(await h.app.inject({ method: 'OPTIONS', url, headers: preflight }));
    }
    expect(answers.length).toBeGreaterThan(30);
    for (const { headers } of answers) {
      expect(headers['set-cookie']).toBeUndefined();
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  });
});

describe('check 66: bodies', () => {
  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/json',
  ])('of type %s are refused: a page of another origin can send those', async (type) => {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': type };
    const answer = await h.app.inject({
      method: 'POST',
      url: '/admin/v1/keys',
      headers,
      payload: '{"name":"a"}',
    });
    expect(answer.statusCode).toBe(415);
    expect(answer.json()).toMatchObject({ error: { code: 'unsupported_media_type' } });
  });

  it.each([
    ['{"name": }', 400],
    ['', 400],
    ['{"name":"a","__proto__":{"x":1}}', 400],
    [JSON.stringify({ name: 'x'.repeat(300 * 1024) }), 413],
  ])('of broken JSON or too many bytes are refused (%#)', async (payload, status) => {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const answer = await h.app.inject({ method: 'POST', url: '/admin/v1/keys', headers, payload });
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toHaveProperty('error.code');
  });

  it('a URL that cannot be decoded has the same shape of error', async () => {
    expect((await h.app.inject('/%E0%A4%A')).json()).toMatchObject({ error: { code: 'invalid_request' } });
  });
});

describe('listening', () => {
  it.each([
    ['127.0.0.1:8081', '127.0.0.1', 8081],
    ['[::1]:0', '::1', 0],
    ['0.0.0.0:80', '0.0.0.0', 80],
  ])('splits %s', (address, host, port) => expect(splitAddress(address)).toEqual({ host, port }));

  it.each(['0.0.0.0', '::', '192.0.2.7', 'gateway.example'])(
    'check 63: refuses %s without a token',
    (host) => {
      expect(() => requireCredential(host, [])).toThrow(UnsafeAdminListener);
      expect(() => requireCredential(host, [sha256('x')])).not.toThrow();
    },
  );

  it.each(['127.0.0.1', '::1', 'localhost', '127.3.4.5'])('allows %s without a token', (host) => {
    expect(() => requireCredential(host, [])).not.toThrow();
  });

  it('answers over a real socket, and what is not HTTP with the same shape', async () => {
    const url = await listenAdmin(h.app, '127.0.0.1:0', [sha256(TOKEN)]);
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' });
    const port = Number(new URL(url).port);
    const rebound = await new Promise<number | undefined>((resolve) => {
      request({ port, path: '/healthz', headers: { host: 'evil.example' } }, (res) =>
        resolve(res.statusCode),
      ).end();
    });
    expect(rebound).toBe(403);
    const raw = await new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.end('NOT HTTP\r\n\r\n'));
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('close', () => resolve(text));
    });
    expect(raw).toContain('HTTP/1.1 400');
    expect(raw).toContain('"code":"invalid_request"');
  });
});

describe('names of hosts', () => {
  it.each([
    ['localhost', 'localhost'],
    ['[::1]:80', '::1'],
    ['A.b:1', 'a.b'],
    ['a:b', null],
    ['', null],
    ['a@b', null],
    ['[::1', null],
  ])('%j is %j', (authority, host) => expect(hostOf(authority)).toBe(host));

  it.each([
    ['127.0.0.1', true],
    ['[::1]', true],
    ['::ffff:127.0.0.1', true],
    ['128.0.0.1', false],
    ['1270.0.0.1', false],
    ['', false],
  ])('%s loopback: %s', (host, expected) => expect(isLoopback(host)).toBe(expected));
});
