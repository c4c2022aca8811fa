import { describe, expect, it } from 'vitest';
import { importModels } from '../../../scripts/import-models.mjs';
import { CATALOGUE } from '../../src/providers/catalogue.js';
import { MODELS } from '../../src/providers/data/models.js';
import { chatModels, makerOf, modelFacts, modelQuirks } from '../../src/providers/models.js';

describe('the catalogue of models', () => {
  it('names only providers of the catalogue, and reads as what it is written as', () => {
    const names = new Set(CATALOGUE.map(({ name }) => name));
    expect(Object.keys(MODELS).filter((name) => !names.has(name))).toEqual([]);
    for (const text of Object.values(MODELS)) {
      for (const line of text.trim().split('\n')) {
        expect(line).toMatch(/^[^|\s]+\|[cter]\|\d*\|\d*\|[iavf]*\|[ia]*\|[tpsrcw]*$/);
      }
    }
  });

  it('tells what a model takes, makes and can', () => {
    expect(modelFacts({ name: 'anthropic', dialect: 'anthropic' }, 'claude-opus-4-6')).toEqual({
      mode: 'chat',
      contextWindow: 1_000_000,
      maxOutputTokens: 128_000,
      inputModalities: ['text', 'image', 'file'],
      outputModalities: ['text'],
      capabilities: ['tools', 'structured_output', 'reasoning', 'prompt_caching'],
    });
    expect(modelFacts({ name: 'openai', dialect: 'openai' }, 'text-embedding-3-small')?.mode).toBe(
      'embedding',
    );
  });

  it('knows the models of a dialect under another provider’s name, and of a group of regions', () => {
    const mine = { name: 'mine', dialect: 'anthropic' } as const;
    expect(modelFacts(mine, 'claude-haiku-4-5')?.maxOutputTokens).toBe(64_000);
    expect(chatModels(mine)).toContain('claude-haiku-4-5');
    expect(chatModels({ name: 'mine', dialect: 'openai' })).toEqual([]);
    const bedrock = { name: 'bedrock', dialect: 'bedrock' } as const;
    expect(modelFacts(bedrock, 'ca.anthropic.claude-opus-4-8')?.maxOutputTokens).toBe(128_000);
    expect(modelFacts(bedrock, 'nobody.nothing')).toBeUndefined();
  });

  it.each([
    ['claude-opus-4-6', 'anthropic'],
    ['gpt-5', 'openai'],
    ['o3-mini', 'openai'],
    ['openai/gpt-oss-120b', 'openai'],
    ['gemini-flash-latest', 'google'],
    ['meta-llama/Llama-3.3-70B', 'meta'],
    ['us.amazon.nova-pro-v1:0', 'amazon'],
    ['command-r-plus', 'cohere'],
    ['something-else', null],
  ])('%s is made by %s', (model, maker) => {
    expect(makerOf(model)).toBe(maker);
  });
});

describe('quirks of models', () => {
  it.each([
    ['anthropic', 'claude-opus-4-6', ['adaptive_thinking']],
    ['anthropic', 'claude-opus-4-6-20260205', ['adaptive_thinking']],
    ['anthropic', 'claude-sonnet-5', ['adaptive_thinking']],
    ['anthropic', 'claude-mythos-preview', ['adaptive_thinking']],
    ['anthropic', 'claude-opus-4-5-20251101', []],
    ['anthropic', 'claude-opus-4-1', []],
    ['anthropic', 'claude-sonnet-4-20250514', ['no_output_format']],
    ['anthropic', 'claude-3-5-haiku-20241022', ['no_output_format']],
    ['anthropic', 'claude-4-opus-20250514', ['no_output_format']],
    ['anthropic', 'other', []],
    ['bedrock', 'us.anthropic.claude-opus-4-6-v1', ['adaptive_thinking']],
    ['bedrock', 'anthropic.claude-3-haiku-20240307-v1:0', []],
    ['bedrock', 'amazon.nova-pro-v1:0', []],
    ['gemini', 'gemini-2.5-pro', []],
    ['gemini', 'gemini-3.5-flash', ['thinking_level']],
    ['vertex', 'gemini-3-pro-preview', ['thinking_level']],
    ['gemini', 'gemini-flash-latest', ['thinking_level']],
    ['openai', 'claude-opus-4-6', []],
  ] as const)('%s %s: %j', (dialect, model, quirks) => {
    expect(modelQuirks(dialect, model)).toEqual(quirks);
  });
});

describe('the import of models', () => {
  const run = importModels as (
    facts: unknown,
    ourName: (name: string) => string | undefined,
  ) => { found: Map<string, Map<string, string>>; leftOut: number };

  it('takes the name at the provider, and leaves out what cannot be asked for', () => {
    const facts = {
      sample_spec: { mode: 'chat' },
      'gemini/g': {
        litellm_provider: 'gemini',
        mode: 'chat',
        max_input_tokens: 9,
        max_tokens: 5,
        supports_vision: true,
      },
      'bedrock/us-east-1/m': { litellm_provider: 'bedrock', mode: 'chat' },
      'ft:g': { litellm_provider: 'gemini', mode: 'chat' },
      picture: { litellm_provider: 'gemini', mode: 'image_generation' },
      elsewhere: { litellm_provider: 'nobody', mode: 'chat' },
      e: { litellm_provider: 'gemini', mode: 'embedding', max_tokens: 8, supported_modalities: ['audio'] },
    };
    const { found, leftOut } = run(facts, (name) => (name === 'nobody' ? undefined : name));
    expect([...(found.get('gemini')?.values() ?? [])]).toEqual(['g|c|9||i||', 'e|e|8||a||']);
    expect([found.size, leftOut]).toEqual([1, 3]);
  });
});
