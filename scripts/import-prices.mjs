#!/usr/bin/env node
// Writes the price book, ts/src/prices/data/book.ts, from a file of prices in USD: a JSON object by model name of
//
//   { litellm_provider, mode, input_cost_per_token?, output_cost_per_token?, cache_read_input_token_cost?, … }
//
//   node scripts/import-prices.mjs PRICES.json           write the book (after `npm run build`)
//   node scripts/import-prices.mjs --check PRICES.json   fail when the book is not what would be written; passes, and says
//                                                        so, where there is no such file
//
// Prices are read as text and become whole pico-USD (10⁻¹² USD) per token: no number of JavaScript ever holds one.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { StepError, isMain, runMain } from './lib/steps.mjs';
import { ROOT } from './lib/tree.mjs';

const TARGET = join(ROOT, 'ts', 'src', 'prices', 'data', 'book.ts');
const BUILT_CATALOGUE = join(ROOT, 'dist', 'providers', 'catalogue.js');

/** Names of providers in the file that are a part of another provider. */
const PARTS = {
  bedrock_converse: 'bedrock',
  'fireworks_ai-embedding-models': 'fireworks',
  'text-completion-openai': 'openai',
};

/** Names of prices in the file, and the letters they are written with; longer names first. */
const RATES = [
  ['cache_creation_input_token_cost_above_1hr', 'h'],
  ['cache_creation_input_token_cost', 'w'],
  ['cache_read_input_token_cost', 'r'],
  ['input_cost_per_token_cache_hit', 'r'],
  ['input_cost_per_token', 'i'],
  ['input_cost_per_audio_token', 'a'],
  ['input_cost_per_image_token', 'm'],
  ['output_cost_per_reasoning_token', 't'],
  ['output_cost_per_token', 'o'],
  ['output_cost_per_audio_token', 'b'],
  ['output_cost_per_image_token', 'n'],
];

/** Order of the letters in a line. */
const LETTERS = ['i', 'r', 'w', 'h', 'a', 'm', 'o', 't', 'b', 'n'];

/** The price that holds for a kind where none is given for it. */
const STANDS_IN = { r: 'i', w: 'i', a: 'i', m: 'i', t: 'o', b: 'o', n: 'o' };

/** What follows a price's name: the size of prompt it holds beyond, and the service tier. */
const SUFFIX = /^(?:_above_(\d+)k_tokens)?(?:_(flex|priority|batches))?$/;

const REGION = /^regional_processing_uplift_multiplier_(\w+)$/;

/** Providers that run on the operator's own machines, where 0 is the price and not a gap in the file. */
const FREE_PROVIDERS = new Set(['ollama']);

/** Prices that the file has otherwise than the provider publishes them: here input and output are swapped. */
const CORRECTIONS = {
  'command-r7b-12-2024': { input_cost_per_token: '0.0000000375', output_cost_per_token: '0.00000015' },
};

/** Modes whose answers have no tokens to pay. */
const WITHOUT_OUTPUT = new Set(['embedding', 'rerank', 'moderation']);

const PICO_DIGITS = 12;
/** 10,000 USD per million tokens: what is beyond is a slip of the file. */
const MAX_RATE = 10_000_000_000n;
const BASIS_POINT_DIGITS = 4;

/** JSON with its numbers as text, digit for digit. */
export function parseExact(json) {
  const quoted = json.replaceAll(/"(?:[^"\\]|\\[^])*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  );
  return JSON.parse(quoted);
}

/** A decimal number times 10^digits, rounded half up to a whole one, and whether it had to be. */
export function scaled(text, digits) {
  const match = /^(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) throw new StepError(`${JSON.stringify(text)} is not a price`);
  const [, whole, fraction = '', exponent = '0'] = match;
  const shift = digits + Number(exponent) - fraction.length;
  const all = BigInt(whole + fraction);
  if (shift >= 0) return { value: all * 10n ** BigInt(shift), rounded: false };
  const divisor = 10n ** BigInt(-shift);
  return { value: (all + divisor / 2n) / divisor, rounded: all % divisor !== 0n };
}

/** Providers by our names → model → its line; what was left out, by reason; and how many prices were rounded. */
export function importPrices(facts, ourName) {
  const found = new Map();
  const leftOut = {};
  const count = { rounded: 0 };
  for (const [key, written] of Object.entries(facts)) {
    if (key === 'sample_spec') continue;
    const fact = { ...written, ...CORRECTIONS[key] };
    const named = fact.litellm_provider;
    const provider = ourName(PARTS[named] ?? named) ?? vertexPart(named);
    const name = modelName(key, named);
    const price = priceOf(fact, provider, name ?? '', count);
    const reason =
      provider === undefined || name === null
        ? 'at providers that are not served'
        : whyNot(price, fact, provider);
    if (reason !== null) {
      leftOut[reason] = (leftOut[reason] ?? 0) + 1;
      continue;
    }
    const models = found.get(provider) ?? new Map();
    found.set(provider, models);
    if (!models.has(name)) models.set(name, lineOf(name, price));
  }
  return { found, leftOut, rounded: count.rounded };
}

function vertexPart(provider) {
  return /^vertex_ai\b/.test(provider ?? '') ? 'vertex' : undefined;
}

/** The name at the provider: without the prefixes of provider, region and commitment; null for a price without a model. */
function modelName(key, provider = '') {
  const parts = key.split('/');
  const isPrefix = (part) =>
    part === provider || PARTS[provider] === part || part === 'vertex_ai' || part === 'bedrock';
  while (parts.length > 1 && isPrefix(parts[0])) parts.shift();
  if ((provider.startsWith('bedrock') || provider === 'azure') && parts.length > 1) return null;
  const name = parts.join('/');
  return /^[^\s|`$\\]+$/.test(name) && !name.startsWith('ft:') ? name : null;
}

/** Groups of rates by tier (`''`, `>200000`, `flex`, `priority>272000`), regions, and the price per request. */
function priceOf(fact, provider, name, count) {
  const groups = new Map();
  const regions = regionsOf(fact);
  readRates(fact, '', groups, count);
  for (const tier of fact.tiered_pricing ?? []) {
    const above = scaled(tier.range?.[0] ?? '0', 0).value;
    readRates(tier, above === 0n ? '' : `>${above}`, groups, count);
  }
  complete(groups, fact, provider, name);
  const request = scaled(fact.input_cost_per_query ?? fact.input_cost_per_request ?? '0', PICO_DIGITS).value;
  return { groups, regions, request };
}

function regionsOf(fact) {
  const uplifts = Object.entries(fact).map(([key, value]) => [REGION.exec(key)?.[1], value]);
  const all = [...uplifts, ['us', fact.provider_specific_entry?.us]];
  const known = all.filter(([region, value]) => region !== undefined && value !== undefined);
  return new Map(known.map(([region, value]) => [region, scaled(value, BASIS_POINT_DIGITS).value]));
}

function readRates(fact, tier, groups, count) {
  for (const [key, value] of Object.entries(fact)) {
    const rate = RATES.find(([name]) => key.startsWith(name) && SUFFIX.test(key.slice(name.length)));
    if (rate === undefined || typeof value !== 'string') continue;
    const [, thousands, service = ''] = SUFFIX.exec(key.slice(rate[0].length));
    const above = thousands === undefined ? tier : `>${thousands}000`;
    const group = `${service === 'batches' ? 'batch' : service}${above}`;
    const rates = groups.get(group) ?? new Map();
    groups.set(group, rates);
    const { value: pico, rounded } = scaled(value, PICO_DIGITS);
    if (rounded) count.rounded += 1;
    if (!rates.has(rate[1])) rates.set(rate[1], pico);
  }
}

/** What the file leaves to be known: rules that the providers publish beside their tables. */
function complete(groups, fact, provider, name) {
  const standard = groups.get('');
  if (standard === undefined) return;
  if (!standard.has('o')) {
    const made = standard.get('n') ?? standard.get('b') ?? (WITHOUT_OUTPUT.has(fact.mode) ? 0n : undefined);
    if (made !== undefined) standard.set('o', made);
  }
  if (fact.mode === 'rerank' && !standard.has('i')) standard.set('i', 0n);
  if (name.includes('claude')) completeClaude(groups, provider);
  if (provider === 'openai') batchLikeFlex(groups);
  for (const rates of groups.values()) dropEmpty(rates);
}

/** Anthropic: a write for an hour costs twice the input, whoever serves it; its own batches cost half of everything. */
function completeClaude(groups, provider) {
  for (const rates of groups.values())
    if (rates.has('i') && rates.has('w')) rates.set('h', rates.get('i') * 2n);
  if (provider !== 'anthropic') return;
  for (const [tier, rates] of Array.from(groups)) {
    if (tier !== '' && !tier.startsWith('>')) continue;
    const isEven = [...rates.values()].every((rate) => rate % 2n === 0n);
    if (isEven && !groups.has(`batch${tier}`))
      groups.set(`batch${tier}`, new Map([...rates].map(([letter, rate]) => [letter, rate / 2n])));
  }
}

/** OpenAI: batches cost what `flex` does. */
function batchLikeFlex(groups) {
  for (const [tier, rates] of Array.from(groups)) {
    if (!tier.startsWith('flex')) continue;
    const batch = tier.replace('flex', 'batch');
    if (!groups.has(batch)) groups.set(batch, new Map(rates));
    const other = groups.get(batch);
    const isSame = other.get('i') === rates.get('i') && other.get('o') === rates.get('o');
    if (isSame && !other.has('r') && rates.has('r')) other.set('r', rates.get('r'));
  }
}

/**
 * A kind at the price of what it is a part of needs no price. A write for less than the prompt, or a thought for 0, is a gap
 * in the file, or the price of keeping, which is by the hour.
 */
function dropEmpty(rates) {
  for (const write of ['w', 'h']) if (rates.get(write) < (rates.get('i') ?? 1n)) rates.delete(write);
  if (rates.get('t') === 0n) rates.delete('t');
  for (const [letter, other] of Object.entries(STANDS_IN)) {
    const isSame = rates.has(letter) && rates.get(letter) === rates.get(other);
    if (isSame && !(letter === 'w' && rates.has('h'))) rates.delete(letter);
  }
}

function whyNot({ groups, request }, fact, provider) {
  const standard = groups.get('');
  if (standard?.has('i') !== true || !standard.has('o')) return 'without a price per token';
  const all = [...groups.values()].flatMap((rates) => [...rates.values()]);
  if (all.some((rate) => rate > MAX_RATE)) return 'with a price beyond belief';
  const isFree = request === 0n && all.every((rate) => rate === 0n);
  return isFree && !FREE_PROVIDERS.has(provider) && fact.mode !== 'moderation' ? 'with no price but 0' : null;
}

function lineOf(name, { groups, regions, request }) {
  const standard = ratesText(groups.get(''), request);
  const tiers = [...groups.keys()].filter((tier) => tier !== '').toSorted(byServiceAndSize);
  const others = tiers.map((tier) => `${tier}:${ratesText(groups.get(tier), 0n)}`);
  const uplifts = [...regions].toSorted().map(([region, points]) => `@${region}:${points}`);
  return [name, standard, ...others, ...uplifts].join('|');
}

function byServiceAndSize(a, b) {
  const [[serviceA, aboveA = 0], [serviceB, aboveB = 0]] = [a.split('>'), b.split('>')];
  if (serviceA !== serviceB) return serviceA < serviceB ? -1 : 1;
  return Number(aboveA) - Number(aboveB);
}

function ratesText(rates, request) {
  const written = LETTERS.filter((letter) => rates.has(letter));
  const texts = written.map((letter) => `${letter}${rates.get(letter)}`);
  return [...texts, ...(request > 0n ? [`q${request}`] : [])].join(' ');
}

/** The source of the book. */
export function sourceOf(found, date) {
  const providers = [...found].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const blocks = providers.map(
    ([provider, models]) =>
      `  ${/^[a-z_]\w*$/.test(provider) ? provider : `'${provider}'`}: \`\n${[...models.values()].toSorted().join('\n')}\n\`,`,
  );
  const digest = createHash('sha256').update(blocks.join('\n')).digest('hex').slice(0, 8);
  return [
    '// Generated by scripts/import-prices.mjs. Do not edit.',
    '',
    '/** When the prices were gathered, and the beginning of their digest. */',
    `export const BOOK_VERSION = '${date}-${digest}';`,
    '',
    '/**',
    ' * Prices by provider, a line per model: its name, then groups of rates in pico-USD per token. The first group is the',
    ' * standard one; others begin with the service tier (`flex`, `priority`, `batch`) and, after `>`, the tokens of prompt',
    ' * beyond which they hold. Kinds: `i`nput, cache `r`ead, `w`rite and `h`ourly write, `a`udio and i`m`age input, `o`utput,',
    ' * `t`hought, and audio (`b`) and image (`n`) output; `q` is per request. `@` stands before the basis points of a region.',
    ' */',
    'export const BOOK: Readonly<Record<string, string>> = {',
    ...blocks,
    '};',
    '',
  ].join('\n');
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { check: { type: 'boolean' } },
  });
  const [file] = positionals;
  if (file === undefined) throw new StepError('usage: node scripts/import-prices.mjs [--check] PRICES.json');
  if (values.check === true && !existsSync(file)) return console.log(`not checked: there is no ${file}`);
  const { catalogueRow } = await import(BUILT_CATALOGUE);
  const facts = parseExact(readFileSync(file, 'utf8'));
  const { found, leftOut, rounded } = importPrices(facts, (name) => catalogueRow(name)?.name);
  const date = /\d{4}-\d{2}/.exec(basename(file))?.[0] ?? 'undated';
  const source = sourceOf(found, date);
  if (values.check !== true) writeFileSync(TARGET, source);
  else if (readFileSync(TARGET, 'utf8') !== source)
    throw new StepError(`${TARGET} is not current: run node scripts/import-prices.mjs ${file}`);
  const count = [...found.values()].reduce((sum, models) => sum + models.size, 0);
  console.log(`${count} models at ${found.size} providers; ${rounded} prices rounded to a pico-USD`);
  for (const [reason, number] of Object.entries(leftOut)) console.log(`${number} left out, ${reason}`);
  return undefined;
}

if (isMain(import.meta.url)) await runMain(main);
