/** HTTP/2 with and without TLS, by Node's own clients, and TLS towards providers. */

import { writeFileSync } from 'node:fs';
import {
  connect as connectHttp2,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
} from 'node:http2';
import { request as requestHttps } from 'node:https';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDemoProvider, type DemoProvider } from '../../src/bridge/index.js';
import { CERTIFICATES } from '../config/certificates.js';
import { Gateway, KEY } from './support/gateway.js';
import { ask } from './support/http.js';
import { emptyDirectory, isBuilt } from './support/program.js';
import {
  beginStream,
  chatHandler,
  chunk,
  completion,
  event,
  isLetGo,
  sendJson,
  Upstream,
  usageOf,
} from './support/upstream.js';

let upstream: Upstream;
let secure: DemoProvider;
let gateway: Gateway;
/** `https://127.0.0.1:port` */
let tlsOrigin = '';
const sessions: ClientHttp2Session[] = [];

beforeAll(async () => {
  upstream = await Upstream.start();
  secure = startDemoProvider({ tls: 'self_signed' });
  const directory = emptyDirectory();
  writeFileSync(join(directory, 'certificate.pem'), CERTIFICATES.certificate);
  writeFileSync(join(directory, 'key.pem'), CERTIFICATES.key, { mode: 0o600 });
  writeFileSync(join(directory, 'ca.pem'), secure.certificatePem ?? '');
  const tls = { certificate_file: 'certificate.pem', private_key_file: 'key.pem' };
  const base_url = `https://${secure.address}/v1`;
  gateway = await Gateway.start({
    directory,
    config: {
      listeners: { data: [{ address: '127.0.0.1:0' }, { address: '127.0.0.1:0', tls }] },
      providers: {
        scripted: { base_url: upstream.url, auth: 'none' },
        secure: { base_url, auth: 'none', extra_ca_file: 'ca.pem' },
        distrusted: { base_url, auth: 'none' },
      },
      models: { m: 'scripted', secure: 'secure', distrusted: 'distrusted' },
    },
  });
  tlsOrigin = /https:\/\/127\.0\.0\.1:\d+/.exec(gateway.process.out())?.[0] ?? '';
});

afterAll(() => {
  for (const session of sessions) session.destroy();
  secure.stop();
});

function session(origin: string): ClientHttp2Session {
  const opened = connectHttp2(origin, { ca: CERTIFICATES.certificate, servername: 'sluice.test' });
  opened.on('error', () => {}); // what fails is told by the streams
  sessions.push(opened);
  return opened;
}

interface Http2Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
  readonly errorCode: number;
}

function open(on: ClientHttp2Session, path: string, body?: string): ClientHttp2Stream {
  const stream = on.request({
    ':method': body === undefined ? 'GET' : 'POST',
    ':path': path,
    authorization: `Bearer ${KEY}`,
    ...(body !== undefined && { 'content-type': 'application/json' }),
  });
  stream.end(body);
  return stream;
}

/** Reads an answer to its end, however it ends. */
function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  return new Promise((resolve) => {
    let headers: Record<string, unknown> = {};
    const chunks: Buffer[] = [];
    stream.on('response', (received) => (headers = received));
    stream.on('data', (data: Buffer) => chunks.push(data));
    stream.on('error', () => {}); // in `errorCode`
    stream.on('close', () => {
      const text = Buffer.concat(chunks).toString();
      resolve({ status: Number(headers[':status']), headers, text, errorCode: stream.rstCode });
    });
  });
}

const CHAT = JSON.stringify({ model: 'm', messages: [] });
const STREAM = JSON.stringify({ model: 'm', stream: true, messages: [] });
const PATH = '/v1/chat/completions';

describe.skipIf(!isBuilt).each(['in clear text, by prior knowledge', 'over TLS, by ALPN'])(
  'HTTP/2 %s',
  (how) => {
    const connect = (): ClientHttp2Session =>
      session(how.startsWith('over TLS') ? tlsOrigin : gateway.origin);

    it('answers whole and in streams, with the headers of the provider', async () => {
      upstream.handler = chatHandler();
      const one = connect();
      const whole = await answerOf(open(one, PATH, CHAT));
      expect(whole.status).toBe(200);
      expect(whole.headers).toMatchObject({ 'content-type': 'application/json' });
      expect(whole.headers['x-sluice-request-id']).toMatch(/^[\da-f-]+$/);
      expect(whole.headers['server-timing']).toMatch(/^gateway;dur=/);
      expect(JSON.parse(whole.text)).toEqual(completion('Good morning', usageOf(11, 7)));
      const streamed = await answerOf(open(one, PATH, STREAM));
      expect(streamed.text).toMatch(/^data: .*Good.* morning.*data: \[DONE\]\n\n$/s);
      expect(streamed.errorCode).toBe(constants.NGHTTP2_NO_ERROR);
      const models = await answerOf(open(one, '/v1/models'));
      expect(models.text).toContain('"m"');
      expect((await answerOf(open(one, '/healthz'))).status).toBe(200);
    });

    it('carries many requests at once on one connection', async () => {
      upstream.handler = chatHandler({ words: ['a', 'b', 'c', 'd'], gapMs: 10 });
      const one = connect();
      const answers = await Promise.all(Array.from({ length: 80 }, () => answerOf(open(one, PATH, STREAM))));
      for (const { status, text } of answers) {
        expect(status).toBe(200);
        expect(text).toMatch(/data: \[DONE\]\n\n$/);
      }
    });

    it('takes a long body, and passes a long answer', async () => {
      const long = 'x'.repeat(3_000_000);
      upstream.handler = (_, response) => sendJson(response, completion(long, usageOf(1, 1)));
      const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: long }] });
      const { status, text } = await answerOf(open(connect(), PATH, body));
      expect(status).toBe(200);
      expect(upstream.last.body.toString()).toBe(body);
      expect(text).toBe(JSON.stringify(completion(long, usageOf(1, 1))));
    });

    it('answers errors in the same shape, and leaves the connection in use', async () => {
      upstream.handler = chatHandler();
      const one = connect();
      const absent = await answerOf(open(one, PATH, '{"model":"absent","messages":[]}'));
      expect(absent.status).toBe(404);
      expect(JSON.parse(absent.text)).toMatchObject({ error: { code: 'model_not_found' } });
      const refused = one.request({ ':method': 'POST', ':path': PATH, authorization: 'Bearer wrong' });
      refused.end(CHAT);
      expect((await answerOf(refused)).status).toBe(401);
      expect((await answerOf(open(one, PATH, CHAT))).status).toBe(200);
    });

    it('ends a request at the provider when its stream is reset', async () => {
      upstream.handler = (_, response) => {
        beginStream(response);
        response.write(event(chunk({ content: 'endless' })));
      };
      const one = connect();
      const stream = open(one, PATH, STREAM);
      const arrived = new Promise((resolve) => stream.once('data', resolve));
      const answer = answerOf(stream);
      await arrived;
      stream.close(constants.NGHTTP2_CANCEL);
      expect(await isLetGo(upstream.last)).toBe(true);
      const { headers } = await answer;
      const row = await gateway.row(String(headers['x-sluice-request-id']));
      expect(row).toMatchObject({ client_aborted: true, stream: true, status: 200 });
      upstream.handler = chatHandler();
      expect((await answerOf(open(one, PATH, CHAT))).status).toBe(200);
    });

    it('resets a stream that the provider breaks off, behind an error event', async () => {
      upstream.handler = (_, response) => {
        beginStream(response);
        response.write(event(chunk({ content: 'half' })), () => setTimeout(() => response.destroy(), 20));
      };
      const { text, errorCode } = await answerOf(open(connect(), PATH, STREAM));
      expect(text).toContain('"code":"upstream_truncated"');
      expect(text).not.toContain('[DONE]');
      expect(errorCode).not.toBe(constants.NGHTTP2_NO_ERROR);
    });
  },
);

describe.skipIf(!isBuilt)('the TLS listener', () => {
  function negotiated(protocols: string[]): Promise<string | false | null> {
    return new Promise((resolve, reject) => {
      const options = { ca: CERTIFICATES.certificate, servername: 'sluice.test', ALPNProtocols: protocols };
      const socket = connectTls(Number(new URL(tlsOrigin).port), '127.0.0.1', options, () => {
        resolve(socket.alpnProtocol);
        socket.destroy();
      });
      socket.on('error', reject);
    });
  }

  it.each([
    [['h2', 'http/1.1'], 'h2'],
    [['http/1.1', 'h2'], 'h2'],
    [['http/1.1'], 'http/1.1'],
  ])('offered %j speaks %s', async (offered, spoken) => {
    expect(await negotiated(offered)).toBe(spoken);
  });

  it('refuses protocols that it does not speak', async () => {
    await expect(negotiated(['spdy/3'])).rejects.toThrow();
  });

  it('serves HTTP/1.1 to clients that offer nothing', async () => {
    upstream.handler = chatHandler();
    const options = { ca: CERTIFICATES.certificate, servername: 'sluice.test' };
    const status = await new Promise<number>((resolve, reject) => {
      const sent = requestHttps(
        `${tlsOrigin}/v1/models`,
        { ...options, headers: { 'x-api-key': KEY } },
        (answer) => {
          answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
        },
      );
      sent.on('error', reject).end();
    });
    expect(status).toBe(200);
  });

  it('takes no plain HTTP, and goes on', async () => {
    await expect(ask(`${tlsOrigin.replace('https', 'http')}/healthz`)).rejects.toThrow();
    expect((await answerOf(open(session(tlsOrigin), '/healthz'))).status).toBe(200);
  });
});

describe.skipIf(!isBuilt)('TLS towards a provider', () => {
  const body = (model: string): string =>
    JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] });

  it('works with a certificate authority of its own', async () => {
    const answer = await ask(`${gateway.url}/chat/completions`, { body: body('secure') });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ object: 'chat.completion' });
  });

  it('is refused where the certificate is not trusted', async () => {
    const answer = await ask(`${gateway.url}/chat/completions`, { body: body('distrusted') });
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ error: { code: 'upstream_unreachable' } });
  });
});
