/** What is not text, with the official client: forms, files, batches. */

import OpenAI, { toFile } from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { Gateway, KEY } from './support/gateway.js';
import { isBuilt } from './support/program.js';
import { beginStream, event, sendJson, Upstream, type Handler, type Received } from './support/upstream.js';

const SOUND = Buffer.from([0x52, 0x49, 0x46, 0x46, 0, 0xff, 0x0d, 0x0a, 0x2d, 0x2d, 0x0d, 0x0a]);
const USAGE = {
  type: 'tokens',
  input_tokens: 14,
  output_tokens: 5,
  total_tokens: 19,
  input_token_details: { text_tokens: 4, audio_tokens: 10 },
};
const FILE = {
  id: 'file-1',
  object: 'file',
  bytes: 3,
  created_at: 1,
  filename: 'a.jsonl',
  purpose: 'batch',
  status: 'processed',
};
const BATCH = { id: 'batch_1', object: 'batch', input_file_id: 'file-1', status: 'validating' };

/** Answers by method and path. */
const ANSWERS: Readonly<Record<string, Handler>> = {
  'POST /v1/files': (_, response) => sendJson(response, FILE),
  'GET /v1/files': (_, response) =>
    sendJson(response, {
      object: 'list',
      data: [FILE],
      has_more: false,
      first_id: 'file-1',
      last_id: 'file-1',
    }),
  'GET /v1/files/file-1': (_, response) => sendJson(response, FILE),
  'DELETE /v1/files/file-1': (_, response) =>
    sendJson(response, { id: 'file-1', object: 'file', deleted: true }),
  'GET /v1/files/file-1/content': (_, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    response.end('{"custom_id":"1"}\n{"custom_id":"2"}\n');
  },
  'POST /v1/batches': (_, response) => sendJson(response, BATCH),
  'GET /v1/batches/batch_1': (_, response) => sendJson(response, BATCH),
  'POST /v1/batches/batch_1/cancel': (_, response) => sendJson(response, { ...BATCH, status: 'cancelling' }),
  'GET /v1/responses/resp_1': (_, response) =>
    sendJson(response, {
      id: 'resp_1',
      object: 'response',
      output: [],
      usage: { input_tokens: 9, output_tokens: 9 },
    }),
  'POST /v1/audio/transcriptions': (request, response) => {
    if (!request.body.includes('name="stream"')) {
      sendJson(response, { text: 'Good morning', usage: USAGE });
      return;
    }
    beginStream(response);
    response.write(event({ type: 'transcript.text.delta', delta: 'Good ' }));
    response.end(event({ type: 'transcript.text.done', text: 'Good morning', usage: USAGE }));
  },
  'POST /v1/images/generations': (_, response) =>
    sendJson(response, { created: 1, data: [{ b64_json: 'AA=='.repeat(1000) }] }),
  'POST /v1/images/edits': (_, response) => sendJson(response, { created: 1, data: [{ b64_json: 'AA==' }] }),
  'POST /v1/moderations': (_, response) =>
    sendJson(response, { id: 'modr-1', model: 'omni', results: [{ flagged: false }] }),
};

const answer: Handler = (request, response) => {
  const key = `${request.method} ${request.path.replace(/\?.*/, '')}`;
  const handler = ANSWERS[key];
  if (handler === undefined) sendJson(response, { error: { message: `no answer to ${key}` } }, 404);
  else void handler(request, response);
};

/** The fields of a form, files included. */
function fieldsOf({ body, headers }: Received): Map<string, Buffer> {
  const boundary = /boundary=(.+)$/.exec(String(headers['content-type']))?.[1] ?? '';
  const parts = body.toString('latin1').split(`--${boundary}`).slice(1, -1);
  const fields = parts.map((part): [string, Buffer] => {
    const [head = '', ...content] = part.split('\r\n\r\n');
    const name = /name="([^"]*)"/.exec(head)?.[1] ?? '';
    return [name, Buffer.from(content.join('\r\n\r\n').slice(0, -2), 'latin1')];
  });
  return new Map(fields);
}

describe.skipIf(!isBuilt)('with the official client', () => {
  let first: Upstream;
  let second: Upstream;
  let gateway: Gateway;
  let client: OpenAI;

  beforeAll(async () => {
    first = await Upstream.start(answer);
    second = await Upstream.start(answer);
    gateway = await Gateway.start({
      config: {
        providers: {
          first: { base_url: first.url, key: 'sk-provider-first-0123456789' },
          second: { base_url: second.url, key: 'sk-provider-second-0123456789' },
        },
        models: { whisper: 'first/gpt-4o-transcribe', image: 'first', omni: 'first', 'other/*': 'second/*' },
        keys: [
          { name: 'tests', secret: 'env:SLUICE_TEST_KEY' },
          { name: 'restricted', secret: 'env:SLUICE_RESTRICTED_KEY', models: ['other/*'] },
        ],
      },
      env: { SLUICE_RESTRICTED_KEY: `${KEY}-restricted` },
    });
    client = new OpenAI({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 });
  });

  it('files are uploaded, listed, read and deleted', async () => {
    const file = await toFile(Buffer.from('{}\n'), 'a.jsonl');
    const { data: created, response } = await client.files.create({ file, purpose: 'batch' }).withResponse();
    expect(created).toEqual(FILE);
    const form = fieldsOf(first.last);
    expect(String(form.get('purpose'))).toBe('batch');
    expect(String(form.get('file'))).toBe('{}\n');
    expect(first.last.headers['authorization']).toBe('Bearer sk-provider-first-0123456789');
    expect(await gateway.row(response.headers.get('x-sluice-request-id'))).toMatchObject({
      route: 'files',
      status: 200,
      key: { name: 'tests' },
      model: { name: null },
      input_tokens: 0,
      output_tokens: 0,
      estimated: false,
    });

    const listed = await client.files.list({ limit: 5, purpose: 'batch' });
    expect(listed.data).toEqual([FILE]);
    expect(first.last.path).toBe('/v1/files?limit=5&purpose=batch');
    expect(await client.files.retrieve('file-1')).toEqual(FILE);
    expect(await (await client.files.content('file-1')).text()).toBe(
      '{"custom_id":"1"}\n{"custom_id":"2"}\n',
    );
    expect(await client.files.delete('file-1')).toMatchObject({ deleted: true });
    expect(second.requests).toEqual([]);
  });

  it('batches are made, read and cancelled', async () => {
    const created = await client.batches.create({
      input_file_id: 'file-1',
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    });
    expect(created).toEqual(BATCH);
    expect(await client.batches.retrieve('batch_1')).toEqual(BATCH);
    expect(await client.batches.cancel('batch_1')).toMatchObject({ status: 'cancelling' });
  });

  it('stored responses are read, and not booked twice', async () => {
    const { data, response } = await client.responses.retrieve('resp_1').withResponse();
    expect(data.id).toBe('resp_1');
    expect(await gateway.row(response.headers.get('x-sluice-request-id'))).toMatchObject({
      route: 'stored_responses',
      input_tokens: 0,
      output_tokens: 0,
    });
  });

  it('the provider is named by a header', async () => {
    const before = first.requests.length;
    await client.files.retrieve('file-1', { headers: { 'x-sluice-provider': 'second' } });
    expect(second.last.path).toBe('/v1/files/file-1');
    expect(first.requests).toHaveLength(before);
    const nowhere = client.files.retrieve('file-1', { headers: { 'x-sluice-provider': 'third' } });
    await expect(nowhere).rejects.toMatchObject({ status: 404, code: 'provider_not_found' });
  });

  it('a restricted key reaches the provider of its models, and lists nothing', async () => {
    const restricted = new OpenAI({ baseURL: gateway.url, apiKey: `${KEY}-restricted`, maxRetries: 0 });
    const before = first.requests.length;
    await restricted.files.retrieve('file-1');
    expect(second.last.headers['authorization']).toBe('Bearer sk-provider-second-0123456789');
    const other = restricted.files.retrieve('file-1', { headers: { 'x-sluice-provider': 'first' } });
    await expect(other).rejects.toMatchObject({ status: 404, code: 'provider_not_found' });
    await expect(restricted.files.list()).rejects.toMatchObject({ status: 403, code: 'not_permitted' });
    expect(first.requests).toHaveLength(before);
  });

  it('sound is transcribed, whole and as a stream', async () => {
    const request = { file: await toFile(SOUND, 'speech.wav'), model: 'whisper' };
    const { data, response } = await client.audio.transcriptions.create(request).withResponse();
    expect(data.text).toBe('Good morning');
    const form = fieldsOf(first.last);
    expect(String(form.get('model'))).toBe('gpt-4o-transcribe');
    expect(form.get('file')).toEqual(SOUND);
    const booked = { model: { name: 'whisper' }, input_tokens: 14, output_tokens: 5, estimated: false };
    expect(await gateway.row(response.headers.get('x-sluice-request-id'))).toMatchObject({
      ...booked,
      route: 'transcriptions',
      stream: false,
    });

    const again = { file: await toFile(SOUND, 'speech.wav'), model: 'whisper', stream: true as const };
    const streamed = await client.audio.transcriptions.create(again).withResponse();
    const types = [];
    for await (const { type } of streamed.data) types.push(type);
    expect(types).toEqual(['transcript.text.delta', 'transcript.text.done']);
    expect(await gateway.row(streamed.response.headers.get('x-sluice-request-id'))).toMatchObject({
      ...booked,
      stream: true,
    });
  });

  it('images are made and edited, and nothing is estimated from their bytes', async () => {
    const { data, response } = await client.images.generate({ model: 'image', prompt: 'x' }).withResponse();
    expect(data.data).toHaveLength(1);
    expect((await gateway.row(response.headers.get('x-sluice-request-id'))).output_tokens).toBe(0);
    const image = await toFile(SOUND, 'a.png', { type: 'image/png' });
    await client.images.edit({ model: 'image', prompt: 'a hat', image });
    const form = fieldsOf(first.last);
    expect([form.get('model'), form.get('prompt')].map(String)).toEqual(['image', 'a hat']);
  });

  it('texts are moderated', async () => {
    const { results } = await client.moderations.create({ model: 'omni', input: 'Hello' });
    expect(results).toEqual([{ flagged: false }]);
  });

  it('metrics count them under their names', async () => {
    const metrics = await (await gateway.adminResponse('/metrics')).text();
    expect(metrics).toMatch(/sluice_requests_total\{[^}]*route="files"[^}]*\} [1-9]/);
    expect(metrics).toMatch(/\{[^}]*provider="first"[^}]*model=""[^}]*\}/);
    expect(metrics).not.toContain('"#0"');
  });
});
