/**
 * Leaves of the config schema. Each carries `expected`, the words a message uses for what belongs there, and where it
 * holds a credential `secret`, so that no message ever quotes the value.
 */

import { Type, type TUnsafe } from 'typebox';
import {
  ENTITY_NAME_EXPECTED,
  isEntityName,
  isMetadataName,
  METADATA_NAME_EXPECTED,
} from '../governance/entity.js';
import { isRuleName, parseBudgetUsd, RULE_NAME_EXPECTED, USD_EXPECTED } from '../governance/meter-text.js';
import { isNamePattern, isPattern } from '../governance/name-pattern.js';
import { isNetwork, NETWORK_EXPECTED } from '../governance/network.js';
import { parseFactor, parseRate, parseUsd } from '../prices/index.js';
import { parseAddress, parseDuration, parseMoment, parseSize } from './scalars.js';

/** Checks behind the schema's `format` keyword, by name. */
export const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  duration: (text) => parseDuration(text) !== null,
  'positive-duration': (text) => (parseDuration(text) ?? 0) > 0,
  size: (text) => (parseSize(text) ?? 0) > 0,
  'socket-address': (text) => parseAddress(text) !== null,
  moment: (text) => parseMoment(text) !== null,
  'provider-name': (text) => /^[a-z0-9][a-z0-9_-]{0,62}$/.test(text),
  'model-pattern': isNamePattern,
  'model-name': (text) => isNamePattern(text) && !isPattern(text),
  target: (text) => /^[a-z0-9][a-z0-9_-]{0,62}(\/[^\s]{1,256})?$/.test(text),
  auth: (text) =>
    /^(bearer|none|aws_sigv4|google_service_account|azure_entra|oauth|header:[A-Za-z0-9][A-Za-z0-9-]{0,63}|query:[A-Za-z0-9_-]{1,64})$/.test(
      text,
    ),
  'address-part': (text) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(text),
  'call-path': isCallPath,
  'api-version': (text) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(text),
  'header-name': (text) => /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/.test(text),
  'schema-name': (text) => /^[a-z_][a-z0-9_]{0,62}$/.test(text) && !text.startsWith('pg_'),
  'host-name': (text) => /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(text),
  sha256: (text) => /^[0-9a-f]{64}$/i.test(text),
  unlimited: (text) => text === 'unlimited',
  rate: (text) => parseRate(text) !== null,
  usd: (text) => parseUsd(text) !== null,
  factor: (text) => parseFactor(text) !== null,
  budget: (text) => parseBudgetUsd(text) !== null,
  'rule-name': isRuleName,
  'entity-name': isEntityName,
  'metadata-name': isMetadataName,
  network: isNetwork,
};

/** As the data plane takes them: one path, with nothing in it that two readers could understand differently. */
function isCallPath(text: string): boolean {
  const plain = text.replace('{model}', 'm');
  const [path = ''] = plain.split('?');
  return (
    text.length <= 512 &&
    /^\/(?!\/)[\x21\x24-\x3b\x3d\x3f-\x5b\x5d-\x7a\x7c\x7e]*$/.test(plain) &&
    (!text.includes('{model}') || (text.split('?')[0] ?? '').includes('{model}')) &&
    !path.split('/').some((segment) => segment === '.' || segment === '..')
  );
}

/** Words for what a place in the file holds, by the name of its format. */
export const EXPECTED = {
  duration: 'a duration of at most 24h such as 500ms, 30s or 5m, or 0 to turn it off',
  'positive-duration': 'a duration from 1ms to 24h such as 500ms, 30s or 5m',
  size: 'a size of at most 1GiB with its unit, such as 512KiB or 32MiB',
  'socket-address':
    'ADDRESS:PORT with an IP address or localhost, such as 127.0.0.1:8080, [::1]:8080 or :8080',
  moment: 'a date or time such as 2026-12-31 or 2026-12-31T18:00:00Z',
  'provider-name': 'a name of lower-case letters, digits, - and _, such as openai-eu',
  'model-pattern': 'a model name, or a pattern with one *, without spaces',
  'model-name': 'a model name without spaces and without *',
  target: 'PROVIDER/MODEL, such as openai/gpt-4o, or PROVIDER alone to keep the name asked for',
  auth: 'bearer, header:NAME, query:NAME, none, aws_sigv4, google_service_account, azure_entra or oauth',
  'address-part': 'letters, digits, ., - and _, such as us-east-1',
  'call-path':
    'a path of at most 512 characters that begins with one /, with {model} at most once and before any query, ' +
    'such as /models/{model}:rawPredict',
  'api-version': 'an API version such as 2024-10-21',
  'header-name': 'a header name of letters, digits and -',
  'schema-name': 'a name of lower-case letters, digits and _ that does not begin with pg_, such as sluice',
  'host-name': 'a host name without port, such as sluice.internal',
  sha256: 'a SHA-256 digest of 64 hexadecimal digits',
  unlimited: 'the word unlimited',
  rate: 'USD per million tokens, from 0 to 10000 with at most 6 digits after the point, such as 0.075',
  usd: 'USD, from 0 to 9000 with at most 12 digits after the point, such as 0.002',
  factor: 'a factor from 0 to 100 with at most 4 digits after the point, such as 0.9',
  budget: USD_EXPECTED,
  'rule-name': RULE_NAME_EXPECTED,
  'entity-name': ENTITY_NAME_EXPECTED,
  'metadata-name': METADATA_NAME_EXPECTED,
  network: NETWORK_EXPECTED,
} as const satisfies Record<keyof typeof FORMATS, string>;

/** Name of a format of a leaf. */
export type Format = keyof typeof EXPECTED;

interface LeafOptions {
  readonly default?: unknown;
}

/** Text of a certain form. */
export function text(format: Format, description: string, options: LeafOptions = {}): TUnsafe<string> {
  return Type.Unsafe<string>({ type: 'string', format, expected: EXPECTED[format], description, ...options });
}

/** A path of a file, relative to the config file. */
export function path(description: string, options: LeafOptions = {}): TUnsafe<string> {
  return Type.Unsafe<string>({
    type: 'string',
    minLength: 1,
    expected: 'the path of a file',
    description,
    ...options,
  });
}

/** Free text that is not a credential. */
export function plain(expected: string, description: string, maxLength: number): TUnsafe<string> {
  return Type.Unsafe<string>({ type: 'string', minLength: 1, maxLength, expected, description });
}

/** A credential: best a reference to where it is kept. */
export function secret(description: string): TUnsafe<string> {
  const expected = 'a secret: env:NAME, file:PATH, or the value itself';
  return Type.Unsafe<string>({ type: 'string', minLength: 1, secret: true, expected, description });
}

/** A duration, where 0 turns a limit off. */
export function duration(description: string, options: LeafOptions = {}): TUnsafe<string | number> {
  const bounds = { minimum: 0, maximum: 0 };
  const leaf = {
    type: ['string', 'integer'],
    format: 'duration',
    ...bounds,
    expected: EXPECTED.duration,
    description,
  };
  return Type.Unsafe<string | number>({ ...leaf, ...options });
}

/** A whole number within bounds. */
export function integer(
  minimum: number,
  maximum: number,
  description: string,
  options: LeafOptions = {},
): TUnsafe<number> {
  const expected = `a whole number from ${minimum} to ${maximum}`;
  return Type.Unsafe<number>({ type: 'integer', minimum, maximum, expected, description, ...options });
}

/** A limit that can be lifted where a default sets one. */
export function limit(maximum: number, description: string): TUnsafe<number | 'unlimited'> {
  const expected = `a whole number from 1 to ${maximum}, or unlimited`;
  const leaf = {
    type: ['integer', 'string'],
    minimum: 1,
    maximum,
    format: 'unlimited',
    expected,
    description,
  };
  return Type.Unsafe<number | 'unlimited'>(leaf);
}

/** A decimal number, as a number or as text. What its digits may be, {@link FORMATS} says. */
export function decimal(format: Format, most: number, description: string): TUnsafe<string | number> {
  const leaf = { type: ['string', 'number'], format, minimum: 0, maximum: most };
  return Type.Unsafe<string | number>({ ...leaf, expected: EXPECTED[format], description });
}

/** On or off. */
export function flag(description: string, options: LeafOptions = {}): TUnsafe<boolean> {
  return Type.Unsafe<boolean>({ type: 'boolean', expected: 'true or false', description, ...options });
}

/** One of a few words. */
export function choice<const T extends string>(
  words: readonly T[],
  description: string,
  options: LeafOptions = {},
): TUnsafe<T> {
  const expected = words.length === 1 ? `${words[0]}` : `one of ${words.join(', ')}`;
  return Type.Unsafe<T>({ type: 'string', enum: words, expected, description, ...options });
}
