import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Harness, harness, NOW, PROBLEM } from './harness.js';

let h: Harness;

beforeAll(async () => {
  h = await harness();
});

beforeEach(() => h.reset());

afterAll(() => h.close());

const problem = { ...PROBLEM };

describe('configuration', () => {
  it('is shown with secrets masked', async () => {
    const answer = await h.call('GET', '/admin/v1/config');
    expect(answer.json()).toMatchObject({
      version: 7,
      source_file: 'sluice.yaml',
      loaded_at: new Date(NOW - 1_000).toISOString(),
      last_error: null,
      warnings: [],
      providers: [
        {
          name: 'openai',
          base_url: 'https://api.openai.com/v1',
          keys: [{ id: 12, weight: 1, hint: 'wxyz' }],
        },
      ],
      models: [
        { name: 'gpt-*', aliases: ['fast'], targets: [{ provider: 'openai', upstream_model: null }] },
        { name: 'gpt-5' },
      ],
    });
  });

  it('never lets through a property that the schema does not name', async () => {
    const [provider] = h.config.providers();
    h.config.providers = () =>
      [
        { ...provider!, secret: 'sk-canary', keys: [{ ...provider!.keys[0]!, secret: 'sk-canary' }] },
      ] as never;
    for (const path of ['/config', '/providers']) {
      const answer = await h.call('GET', `/admin/v1${path}`);
      expect(answer.statusCode).toBe(200);
      expect(answer.body).not.toContain('canary');
    }
  });

  it('has a status with the version of each worker and what the last reload came to', async () => {
    h.config.lastError = { at: NOW, problems: [PROBLEM] };
    h.stats.workers[1]!.snapshot_version = 6;
    expect((await h.call('GET', '/admin/v1/config/status')).json()).toEqual({
      version: 7,
      source_file: 'sluice.yaml',
      loaded_at: new Date(NOW - 1_000).toISOString(),
      last_error: { at: new Date(NOW).toISOString(), problems: [problem] },
      warnings: [],
      workers: [
        { worker: 0, version: 7 },
        { worker: 1, version: 6 },
      ],
    });
  });
});

describe('validating', () => {
  it('answers every problem with its place, and applies nothing', async () => {
    const answer = await h.call('POST', '/admin/v1/config/validate', { document: 'bad: true' });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ ok: false, version: 7, problems: [problem] });
    expect(h.config.validated).toEqual(['bad: true']);
  });

  it('takes documents larger than other bodies', async () => {
    const document = `# ${'x'.repeat(1024 * 1024)}`;
    expect((await h.call('POST', '/admin/v1/config/validate', { document })).statusCode).toBe(200);
  });

  it.each([[{}], [{ document: 5 }], [{ document: 'a', apply: true }], ['text']])(
    'refuses %j',
    async (body) => {
      const answer = await h.call(
        'POST',
        '/admin/v1/config/validate',
        typeof body === 'string' ? [body] : body,
      );
      expect(answer.statusCode).toBe(400);
      expect(h.config.validated).toEqual([]);
    },
  );
});

describe('reloading', () => {
  it('answers the new version', async () => {
    expect((await h.call('POST', '/admin/v1/config/reload')).json()).toEqual({
      ok: true,
      version: 8,
      problems: [],
    });
  });

  it('says why it was refused, and what goes on serving', async () => {
    h.config.refusal = [{ ...PROBLEM, severity: 'warning', message: 'only a warning' }, PROBLEM];
    const answer = await h.call('POST', '/admin/v1/config/reload');
    expect(answer.statusCode).toBe(422);
    const { error } = answer.json<{ error: { code: string; message: string; path: string } }>();
    expect(error.code).toBe('config_refused');
    expect(error.message).toContain('version 7 goes on serving');
    expect(error.message).toContain(PROBLEM.message);
    expect(error.message).not.toContain('only a warning');
    expect(error.path).toBe('sluice.yaml:12 models.fast.targets[0].provider');
  });
});

describe('catalogue and health', () => {
  it('lists models', async () => {
    const { models } = (await h.call('GET', '/admin/v1/models')).json<{ models: unknown[] }>();
    expect(models).toEqual([
      {
        id: 13,
        name: 'gpt-*',
        aliases: ['fast'],
        info: null,
        targets: [{ id: 14, provider: 'openai', upstream_model: null, weight: 1, tier: 0 }],
      },
      {
        id: 15,
        name: 'gpt-5',
        aliases: [],
        info: {
          mode: 'chat',
          context_window: 400_000,
          max_output_tokens: null,
          owned_by: 'openai',
          input_modalities: ['text', 'image'],
          output_modalities: ['text'],
          capabilities: ['tools'],
        },
        targets: [],
      },
    ]);
  });

  it('shows the state of the gateway', async () => {
    Object.assign(h.stats.workers[0]!, {
      active_requests: 3,
      active_streams: 1,
      connections: 9,
      ring_dropped: 4,
    });
    expect((await h.call('GET', '/admin/v1/health')).json()).toEqual({
      status: 'ok',
      version: '0.0.0-test',
      uptime_seconds: 90,
      config_version: 7,
      workers: 2,
      active_requests: 3,
      active_streams: 1,
      connections: 9,
      recording: { records: 5, records_lost: 4, detail_dropped: 1, write_failures: 2, pending_bytes: 96 },
    });
  });
});
