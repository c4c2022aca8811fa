/** Models as facts: how much they take and make, what they can do, who made them, and what is special about them. */

import { CATALOGUE, catalogueRow } from './catalogue.js';
import { MODELS } from './data/models.js';
import type { Dialect, Quirk } from './row.js';

/** What is known of a model at a provider. */
export interface ModelFacts {
  readonly mode: 'chat' | 'completion' | 'embedding' | 'rerank';
  /** Tokens of prompt and answer together. */
  readonly contextWindow: number | null;
  /** Most tokens of an answer. */
  readonly maxOutputTokens: number | null;
  readonly inputModalities: readonly string[];
  readonly outputModalities: readonly string[];
  readonly capabilities: readonly string[];
}

const MODES = { c: 'chat', t: 'completion', e: 'embedding', r: 'rerank' } as const;
const MODALITIES: Readonly<Record<string, string>> = { i: 'image', a: 'audio', v: 'video', f: 'file' };
const CAPABILITIES: Readonly<Record<string, string>> = {
  t: 'tools',
  p: 'parallel_tools',
  s: 'structured_output',
  r: 'reasoning',
  c: 'prompt_caching',
  w: 'web_search',
};

/** Whose models a provider of a dialect has that is not in the catalogue under its name. */
const USUAL_MODELS: Partial<Record<Dialect, string>> = {
  anthropic: 'anthropic',
  gemini: 'gemini',
  vertex: 'vertex',
  bedrock: 'bedrock',
  cohere: 'cohere',
  azure: 'azure',
};

/** What Amazon puts in front of a model's name for a group of regions. */
const REGION_PREFIX = /^(us|eu|apac|au|jp|ca|global|us-gov)\./;

/** A provider, by its name in the configuration, what it speaks, and where it is. */
export interface ModelProvider {
  readonly name: string;
  readonly dialect: Dialect;
  readonly baseUrl?: string | null;
}

/**
 * The provider of the catalogue whose models these are, among those that a table has: by name, by address, and where the
 * dialect is that of one maker, by dialect.
 */
export function ownerOfModels(
  { name, dialect, baseUrl }: ModelProvider,
  table: Readonly<Record<string, unknown>>,
): string | undefined {
  const atAddress = CATALOGUE.find((row) => row.baseUrl === baseUrl)?.name;
  return [catalogueRow(name)?.name, atAddress, USUAL_MODELS[dialect]].find(
    (candidate) => candidate !== undefined && candidate in table,
  );
}

/** The name of a Bedrock model without the group of regions it is asked in. */
export function withoutRegion(model: string): string {
  return model.replace(REGION_PREFIX, '');
}

/** What is known of a model by its name at the provider. */
export function modelFacts(provider: ModelProvider, model: string): ModelFacts | undefined {
  const models = modelsOf(provider);
  return models.get(model) ?? models.get(withoutRegion(model));
}

/** Names of the chat models that are known of a provider. */
export function chatModels(provider: ModelProvider): string[] {
  return [...modelsOf(provider)].filter(([, { mode }]) => mode === 'chat').map(([name]) => name);
}

const read = new Map<string, ReadonlyMap<string, ModelFacts>>();

function modelsOf(provider: ModelProvider): ReadonlyMap<string, ModelFacts> {
  const key = ownerOfModels(provider, MODELS);
  if (key === undefined) return new Map();
  const known = read.get(key) ?? readModels(MODELS[key] ?? '');
  read.set(key, known);
  return known;
}

function readModels(text: string): ReadonlyMap<string, ModelFacts> {
  const lines = text.trim().split('\n');
  return new Map(lines.map((line) => readModel(line.split('|'))));
}

function readModel(columns: readonly string[]): [string, ModelFacts] {
  const [name = '', mode = 'c', window = '', output = '', inputs = '', outputs = '', capabilities = ''] =
    columns;
  const facts: ModelFacts = {
    mode: MODES[mode as keyof typeof MODES],
    contextWindow: window === '' ? null : Number(window),
    maxOutputTokens: output === '' ? null : Number(output),
    inputModalities: ['text', ...words(inputs, MODALITIES)],
    outputModalities: mode === 'c' || mode === 't' ? ['text', ...words(outputs, MODALITIES)] : [],
    capabilities: words(capabilities, CAPABILITIES),
  };
  return [name, facts];
}

function words(letters: string, table: Readonly<Record<string, string>>): string[] {
  return Object.keys(table)
    .filter((letter) => letters.includes(letter))
    .map((letter) => table[letter] ?? '');
}

/** Who made a model, by its name. */
const MAKERS: readonly (readonly [RegExp, string])[] = [
  [/claude/, 'anthropic'],
  [/(^|\/)(gpt-|chatgpt-|o[134](-|$)|codex-|text-embedding-)/, 'openai'],
  [/gemini|gemma/, 'google'],
  [/mistral|ministral|magistral|codestral|devstral|pixtral|mixtral/, 'mistralai'],
  [/llama/, 'meta'],
  [/deepseek/, 'deepseek'],
  [/qwen|qwq/, 'qwen'],
  [/grok/, 'xai'],
  [/(^|\/|cohere\.)(command|embed-|rerank-)/, 'cohere'],
  [/(^|\.)(nova|titan)-/, 'amazon'],
  [/kimi|moonshot/, 'moonshotai'],
  [/glm-/, 'zai'],
  [/jamba/, 'ai21'],
];

/** Who made a model, as far as its name tells. */
export function makerOf(model: string): string | null {
  return MAKERS.find(([pattern]) => pattern.test(model.toLowerCase()))?.[1] ?? null;
}

/** From this version on, Claude thinks adaptively, by effort. */
const ADAPTIVE_CLAUDE = 4.6;
/** From this version on, Claude takes a schema for its answer. */
const STRUCTURED_CLAUDE = 4.1;

/** What is special about a model at a provider of a dialect, told by its name. */
export function modelQuirks(dialect: Dialect, model: string): Quirk[] {
  if (dialect === 'gemini' || dialect === 'vertex') {
    return /^gemini-([3-9]|(flash|flash-lite|pro)-latest$)/.test(model) ? ['thinking_level'] : [];
  }
  if (dialect !== 'anthropic' && dialect !== 'bedrock') return [];
  const version = claudeVersion(model);
  if (version === null) return [];
  if (version >= ADAPTIVE_CLAUDE) return ['adaptive_thinking'];
  return dialect === 'anthropic' && version < STRUCTURED_CLAUDE ? ['no_output_format'] : [];
}

/** `claude-opus-4-6-20260205` is 4.6, `claude-3-5-haiku-20241022` 3.5; null for another model. */
function claudeVersion(model: string): number | null {
  if (!model.includes('claude-')) return null;
  const match = /claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)/.exec(model);
  if (match === null) return model.includes('claude-instant') ? 1 : Infinity;
  return Number(match[1]) + Number(match[2] ?? 0) / 10;
}
