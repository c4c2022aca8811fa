/** The schema of customers, teams, users and tags, and of the budgets and rate limits that they and others can have. */

import { Type, type Static, type TProperties } from 'typebox';
import { ROUTES } from '../bridge/generated/record.js';
import {
  MAX_METADATA_ENTRIES,
  MAX_METADATA_NAME_CHARACTERS,
  MAX_METADATA_VALUE_CHARACTERS,
} from '../governance/entity.js';
import {
  INPUT_KINDS,
  MAX_BUDGET_USD,
  MAX_RULES,
  METER_MODES,
  REFUSAL_STATUSES,
  TOKEN_KINDS,
  type RefusalStatus,
  type TokenKind,
} from '../governance/meter-rule.js';
import { MAX_WEIGHT } from '../governance/meter-text.js';
import { WINDOW_EXPECTED, WINDOW_KINDS } from '../governance/meter-window.js';
import { MAX_ALLOWED_MODELS, MAX_CONCURRENCY, MAX_RATE } from '../governance/virtual-key.js';
import { choice, decimal, flag, integer, plain, text } from './schema-scalars.js';
import { list, mapping, named, optional } from './schema-shapes.js';

/** Longest name of a time zone, and of a window, in characters. */
const MAX_TIME_ZONE_CHARACTERS = 64;
const MAX_WINDOW_CHARACTERS = 32;

const whenOver = {
  kind: optional(
    choice(
      WINDOW_KINDS,
      '`calendar` (full hours, days, weeks from Monday, months, quarters, years), `fixed` (one after the other, counted from ' +
        'the beginning of 1970), `sliding` (the time up to now) or `rate` (refills evenly). Calendar for named units; else ' +
        'fixed, but `rate` for rate limits over less than an hour.',
    ),
  ),
  time_zone: optional(
    plain(
      'the name of a time zone such as Europe/Berlin',
      'Time zone of the calendar; UTC unless given.',
      MAX_TIME_ZONE_CHARACTERS,
    ),
  ),
};

const howRefused = {
  mode: optional(
    choice(
      METER_MODES,
      '`strict` reserves the most that a request can use and is never exceeded, `normal` what it is estimated to use, `soft` ' +
        'counts and refuses nothing. `normal` unless given.',
    ),
  ),
  status: optional(
    Type.Unsafe<RefusalStatus>({
      type: 'integer',
      enum: REFUSAL_STATUSES,
      expected: `one of ${REFUSAL_STATUSES.join(', ')}`,
      description:
        'Status of a refusal: 429, 402 (payment required), or 400 with the type `budget_exceeded` as LiteLLM answers. 429 ' +
        'unless given.',
    }),
  ),
};

const ruleName = optional(
  text('rule-name', 'Name in refusals and reports; what it limits, such as `usd/month`, unless given.'),
);

const Budget = mapping(
  {
    name: ruleName,
    usd: decimal('budget', MAX_BUDGET_USD, 'The most that may be spent in a window.'),
    window: plain(WINDOW_EXPECTED, 'The time the budget is for.', MAX_WINDOW_CHARACTERS),
    ...whenOver,
    ...howRefused,
  },
  'A limit of money over a time.',
);

const Weights = mapping(
  {
    limit: integer(1, MAX_RATE, 'The most tokens in a window, each counted by its weight.'),
    ...(Object.fromEntries(TOKEN_KINDS.map((kind) => [kind, weight(kind)])) as Record<
      TokenKind,
      ReturnType<typeof weight>
    >),
  },
  'Tokens by kind, each counted by a weight, such as `{ input: 1, cached_input: 0.1, output: 5, limit: 1000000 }`.',
);

function weight(kind: TokenKind) {
  const whole = INPUT_KINDS.has(kind) ? 'input' : 'output';
  const otherwise = kind === whole ? '0' : `that of \`${kind === 'cache_write_1h' ? 'cache_write' : whole}\``;
  return optional(
    Type.Unsafe<number>({
      type: 'number',
      minimum: 0,
      maximum: MAX_WEIGHT,
      expected: `a number from 0 to ${MAX_WEIGHT} with at most 3 digits after the point`,
      description: `What such a token counts; ${otherwise} unless given.`,
    }),
  );
}

const RateLimit = mapping(
  {
    name: ruleName,
    requests: optional(integer(1, MAX_RATE, 'Requests in a window.')),
    tokens: optional(integer(1, MAX_RATE, 'Tokens in a window, of prompts and answers.')),
    input_tokens: optional(integer(1, MAX_RATE, 'Tokens of prompts in a window.')),
    output_tokens: optional(integer(1, MAX_RATE, 'Tokens of answers in a window.')),
    weighted_tokens: optional(Weights),
    concurrency: optional(integer(1, MAX_CONCURRENCY, 'Requests at once; takes no window.')),
    window: optional(plain(WINDOW_EXPECTED, 'The time the limit is over.', MAX_WINDOW_CHARACTERS)),
    ...whenOver,
    ...howRefused,
  },
  'A limit of requests or tokens over a time, or of requests at once: exactly one of these.',
);

/** Budgets and rate limits of anything that can have them. */
export const rules = {
  budgets: optional(
    list(Budget, MAX_RULES, 'a list of at least one budget', 'Limits of money; all of them hold.'),
  ),
  rate_limits: optional(
    list(RateLimit, MAX_RULES, 'a list of at least one rate limit', 'Limits of use; all of them hold.'),
  ),
};

const ROUTE_LABELS = ROUTES.map(({ label }) => label).filter((label) => label !== 'none');

/** Providers that may be reached. */
export const providerList = optional(
  Type.Array(text('model-pattern', 'A name, or a pattern with one `*`.'), {
    maxItems: MAX_ALLOWED_MODELS,
    expected: 'a list of names of providers and patterns',
    description: 'Providers that may be reached; an empty list allows none.',
  }),
);

/** Routes that may be called. */
export const routeList = optional(
  Type.Array(choice(ROUTE_LABELS, 'A route.'), {
    maxItems: ROUTE_LABELS.length,
    expected: 'a list of routes',
    description: `Routes that may be called, of ${ROUTE_LABELS.map((label) => `\`${label}\``).join(', ')}.`,
  }),
);

const modelList = optional(
  Type.Array(text('model-pattern', 'A name, or a pattern with one `*`.'), {
    maxItems: MAX_ALLOWED_MODELS,
    expected: 'a list of model names and patterns',
    description: 'Models that may be used; an empty list allows none.',
  }),
);

/** Free text for the operator's own use. */
export const metadata = optional(
  Type.Unsafe<Record<string, string>>({
    type: 'object',
    maxProperties: MAX_METADATA_ENTRIES,
    propertyNames: { type: 'string', format: 'metadata-name' },
    additionalProperties: {
      type: 'string',
      maxLength: MAX_METADATA_VALUE_CHARACTERS,
      expected: `a text of at most ${MAX_METADATA_VALUE_CHARACTERS} characters`,
      description: 'Any text.',
    },
    expected: `a mapping from names of at most ${MAX_METADATA_NAME_CHARACTERS} characters to texts`,
    description: 'Notes of your own, shown with it.',
  }),
);

function entity<T extends TProperties>(parents: T, description: string) {
  return mapping(
    {
      ...parents,
      models: modelList,
      providers: providerList,
      routes: routeList,
      ...rules,
      metadata,
      disabled: optional(flag('Refuse its keys, and those of all that belongs to it.', { default: false })),
    },
    description,
  );
}

const reference = (description: string) => optional(text('entity-name', description));
const entities = <T extends Parameters<typeof named>[1]>(schema: T, kind: string, description: string) =>
  optional(named('entity-name', schema, `a mapping from names of ${kind} to their settings`, description));

const Customer = entity(
  {},
  'A customer, or any organisation. What it may use bounds all that belongs to it.',
);
const Team = entity({ customer: reference('The customer it belongs to.') }, 'A team.');
const User = entity(
  {
    team: reference('The team the user belongs to.'),
    customer: reference('The customer the user belongs to, where there is no team between them.'),
  },
  'A person or a service.',
);
const Tag = entity({}, 'A tag, put on keys whoever owns them.');

/** The sections of the file. */
export const entitySections = {
  customers: entities(Customer, 'customers', 'Customers by name, the widest of those that can have budgets.'),
  teams: entities(Team, 'teams', 'Teams by name.'),
  users: entities(User, 'users', 'Users by name.'),
  tags: entities(Tag, 'tags', 'Tags by name; keys can have those that are declared.'),
};

/** Whose a key is. */
export const KeyOwner = mapping(
  {
    user: reference('A user.'),
    team: reference('A team.'),
    customer: reference('A customer.'),
  },
  'Whose the key is: a user, a team or a customer, whose limits then hold for it.',
);

export type RawBudget = Static<typeof Budget>;
export type RawRateLimit = Static<typeof RateLimit>;
export type RawKeyOwner = Static<typeof KeyOwner>;
/** What entities of any kind are written with. */
export type RawEntity = Static<typeof User>;
