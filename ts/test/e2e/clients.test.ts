/**
 * The official SDKs at the prefixes made for them: nothing but the base URL and the key is changed. What they say to
 * every provider is in the matrix (ts/test/matrix); here is what goes wrong on the way.
 */

import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Conversation, ErrorKind, Setup } from '../matrix/clients/client.js';
import { CLIENTS } from '../matrix/clients/index.js';
import { providerOf } from '../matrix/gateway.js';
import { ASK, DIALECTS, RESULTS, scripted, SYSTEM, TOOLS, type Dialect } from '../matrix/script.js';
import { Upstream } from '../matrix/server.js';
import { PROVIDERS } from '../matrix/upstreams/index.js';
import { Gateway, KEY } from './support/gateway.js';
import { isBuilt } from './support/program.js';

/** Where each SDK is pointed. */
const PREFIXES: Readonly<Record<Dialect, string>> = {
  'openai-chat': '/openai',
  'openai-responses': '/openai',
  anthropic: '/anthropic',
  gemini: '/genai',
  bedrock: '/bedrock',
  cohere: '/cohere',
};

/** A provider of another dialect than most clients, and of another than that one. */
let claude: Upstream;
let gpt: Upstream;
let gateway: Gateway;

beforeAll(async () => {
  claude = await Upstream.start(PROVIDERS.anthropic);
  gpt = await Upstream.start(PROVIDERS['openai-chat']);
  gateway = await Gateway.start({
    config: {
      keys: [
        { name: 'tests', secret: 'env:SLUICE_TEST_KEY' },
        { name: 'other', secret: 'env:OTHER_KEY', models: ['gpt'] },
      ],
      providers: { claude: providerOf(claude), gpt: providerOf(gpt) },
      models: {
        claude: { targets: [{ provider: 'claude', model: claude.provider.model }] },
        gpt: { targets: [{ provider: 'gpt', model: gpt.provider.model }] },
      },
    },
    env: { OTHER_KEY: 'sk-test-other-0123456789abcdef' },
  });
});
afterAll(() => {
  claude.close();
  gpt.close();
});

/** The provider that speaks another dialect than the client. */
function foreign(client: Dialect): { readonly model: string; readonly upstream: Upstream } {
  const [model, upstream] = client === 'anthropic' ? ['gpt', gpt] : ['claude', claude];
  upstream.reset();
  return { model, upstream };
}

function open(client: Dialect, more: Partial<Setup> = {}): Conversation {
  const { model } = foreign(client);
  const where = { origin: gateway.origin, prefix: PREFIXES[client], key: KEY, model };
  const setup = { ...where, streamed: false, system: SYSTEM, tools: [], maxTokens: 100, ...more };
  return CLIENTS[client].open(setup);
}

/** What the SDK makes of the error that a question raises. */
async function kindOf(client: Dialect, asked: Promise<unknown>): Promise<[ErrorKind, string]> {
  try {
    await asked;
  } catch (error) {
    return [CLIENTS[client].kindOf(error), String(error)];
  }
  throw new Error('no error was raised');
}

describe.skipIf(!isBuilt).each(DIALECTS)('the SDK of %s at its prefix', (client) => {
  it.each([false, true])('is answered, streamed: %j', async (streamed) => {
    const { text } = await open(client, { streamed }).say(ASK.text);
    expect(text).toBe(scripted('text', false, String).text);
  });

  it.each([false, true])('calls tools, streamed: %j', async (streamed) => {
    const conversation = open(client, { streamed, tools: TOOLS });
    const { calls } = await conversation.say(ASK.two);
    expect(calls.map(({ name }) => name)).toEqual(['get_weather', 'get_time']);
    const found = calls.map(({ id, name }) => ({ id, text: RESULTS[name] ?? '' }));
    expect((await conversation.tell(found)).text).toBe(scripted('two', true, String).text);
  });

  it.each([false, true])('raises its own error for a wrong key, streamed: %j', async (streamed) => {
    const [kind, text] = await kindOf(client, open(client, { streamed, key: `${KEY}x` }).say(ASK.text));
    expect(kind, text).toBe('key');
  });

  it.each([false, true])('raises its own error for an unknown model, streamed: %j', async (streamed) => {
    const [kind, text] = await kindOf(client, open(client, { streamed, model: 'nobody' }).say(ASK.text));
    expect(kind, text).toBe('not found');
    expect(text).toContain('nobody');
  });

  it('raises its own error for a model that the key may not use', async () => {
    const key = 'sk-test-other-0123456789abcdef';
    const [kind, text] = await kindOf(client, open(client, { key, model: 'claude' }).say(ASK.text));
    // A model that a key may not use is not there for it, or forbidden.
    expect(['not found', 'key'], text).toContain(kind);
  });

  it('lets the provider go when it aborts in the middle of a stream', async () => {
    const { upstream } = foreign(client);
    const abort = new AbortController();
    const onText = (): void => abort.abort();
    const asked = open(client, { streamed: true, signal: abort.signal, onText }).say(ASK.stream);
    await kindOf(client, asked);
    await expect.poll(() => upstream.abandoned, { timeout: 2_500 }).toBe(1);
    const aborted = async (): Promise<boolean> => {
      const [newest] = await gateway.rows();
      return newest?.client_aborted === true && newest.stream;
    };
    await expect.poll(aborted).toBe(true);
  });
});

describe.skipIf(!isBuilt)('a client of AWS that signs', () => {
  async function ask(client: BedrockRuntimeClient): Promise<string | undefined> {
    claude.reset();
    const messages = [{ role: 'user' as const, content: [{ text: ASK.text }] }];
    const { output } = await client.send(new ConverseCommand({ modelId: 'claude', messages }));
    client.destroy();
    return output?.message?.content?.[0]?.text;
  }

  const signing = (accessKeyId: string): BedrockRuntimeClient =>
    new BedrockRuntimeClient({
      endpoint: `${gateway.origin}/bedrock`,
      region: 'eu-west-1',
      credentials: { accessKeyId, secretAccessKey: 'unused' },
      maxAttempts: 1,
    });

  it('has its key for an access key id', async () => {
    expect(await ask(signing(KEY))).toBe(scripted('text', false, String).text);
    await expect(ask(signing(`${KEY}x`))).rejects.toMatchObject({ name: 'UnrecognizedClientException' });
  });

  it('shows its key in x-api-key, as a middleware adds it', async () => {
    const client = signing('AKIAWHATEVER');
    client.middlewareStack.add(
      (next) => (args) => {
        const { headers } = args.request as { headers: Record<string, string> };
        headers['x-api-key'] = KEY;
        return next(args);
      },
      { step: 'build' },
    );
    expect(await ask(client)).toBe(scripted('text', false, String).text);
  });
});
