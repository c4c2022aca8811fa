/** `/usage`: reports from the rollups, and the list of single requests. */
import { type Static, type TSchema, Type } from 'typebox';
import { ROUTES } from '../../bridge/generated/record.js';
import { formatUsd } from '../../prices/index.js';
import { MAX_NAME_CHARACTERS } from '../../governance/name-pattern.js';
import {
  decodeCursor,
  type Dimension,
  encodeCursor,
  everyRequest,
  listRequests,
  ROLLUP_SUMS,
  type RollupRow,
  type RollupSum,
  STATUS_CLASSES,
} from '../../usage/index.js';
import type { AdminApp } from '../app.js';
import { CsvTable, FORMAT, refuseLongTable, sendCsv, wantsCsv } from '../csv.js';
import { AdminError } from '../errors.js';
import { Names } from '../names.js';
import type { AdminDependencies } from '../ports.js';
import { requestView, UsageRequest } from '../request-view.js';
import { costUsd, named, nullable, oneOf, record, refusals, timestamp, toTimestamp } from '../schemas.js';

const MS_PER_MINUTE = 60_000;
const DEFAULT_RANGE_MS = 24 * 60 * MS_PER_MINUTE;
const MAX_ROWS = 1_000;
const DEFAULT_ROWS = 200;
/** Rows that can be paged through; a report that needs more wants a shorter range or fewer groups. */
const MAX_OFFSET = 100_000;
const MAX_REQUESTS = 500;
const DEFAULT_REQUESTS = 100;
const MAX_CURSOR_CHARACTERS = 128;
/** Rows of a report as CSV; they are all summed before the first is sent. */
const MAX_CSV_ROWS = 50_000;
/** Requests in one CSV; one with more breaks off. */
const MAX_CSV_REQUESTS = 1_000_000;

/** What a report can be grouped by, and the stored column. */
const GROUPS = {
  key: 'key_id',
  model: 'model_id',
  provider: 'provider_id',
  route: 'route',
  status: 'status_class',
} as const satisfies Record<string, Dimension>;
type Group = keyof typeof GROUPS;

const ROUTE_LABELS = ROUTES.map(({ label }) => label);
const NamedId = record({ id: Type.Integer(), name: nullable(Type.String()) });

/** Reports are by the time a request began, lists of requests by the time it finished. */
const range = (verb: 'Began' | 'Finished') => ({
  from: Type.Optional(timestamp(`${verb} at or after; a day before \`to\` unless given.`)),
  to: Type.Optional(timestamp(`${verb} before; now unless given.`)),
});
const filters = {
  key_id: Type.Optional(Type.Integer({ minimum: 0, maximum: 4_294_967_295, description: 'One key only.' })),
  model: Type.Optional(
    Type.String({ maxLength: MAX_NAME_CHARACTERS, description: 'One model only, by its configured name.' }),
  ),
  provider: Type.Optional(
    Type.String({ maxLength: MAX_NAME_CHARACTERS, description: 'One provider only, by name.' }),
  ),
  route: Type.Optional(oneOf(ROUTE_LABELS)),
};

const groupPattern = `(${Object.keys(GROUPS).join('|')})`;
const ReportQuery = record({
  ...range('Began'),
  ...filters,
  status: Type.Optional(oneOf(STATUS_CLASSES)),
  group_by: Type.Optional(
    Type.String({
      pattern: `^${groupPattern}(,${groupPattern}){0,${Object.keys(GROUPS).length - 1}}$`,
      description: 'One or several of `key`, `model`, `provider`, `route`, `status`, separated by commas.',
      examples: ['key,model'],
    }),
  ),
  interval: Type.Optional(
    oneOf(['minute', 'hour', 'day'], { description: 'Divides the range, in UTC; absent for one sum.' }),
  ),
  limit: Type.Integer({ minimum: 1, maximum: MAX_ROWS, default: DEFAULT_ROWS }),
  offset: Type.Integer({ minimum: 0, maximum: MAX_OFFSET, default: 0 }),
  format: Type.Optional(FORMAT),
});

const counts = Object.fromEntries(
  Object.entries({
    requests: 'Finished requests.',
    input_tokens: 'Prompt tokens, cached ones included.',
    cached_input_tokens: "Of these, read from the provider's cache.",
    cache_write_tokens: "Of these, written to the provider's cache.",
    output_tokens: 'Generated tokens, reasoning included.',
    reasoning_tokens: 'Of these, spent on reasoning.',
    cache_write_1h_tokens: 'Of the tokens written to the cache, those to be kept for an hour.',
    audio_input_tokens: 'Of the prompt tokens, those of sound.',
    image_input_tokens: 'Of the prompt tokens, those of images.',
    audio_output_tokens: 'Of the generated tokens, those of sound.',
    image_output_tokens: 'Of the generated tokens, those of images.',
    errors: 'Requests that ended in an error.',
    aborted: 'Requests whose client went away first.',
    estimated: 'Requests whose tokens are our estimate, since the provider reported none.',
    unpriced: 'Requests whose model has no price; they are not in `cost_usd`.',
    duration_us: 'Sum of durations, microseconds.',
    gateway_us: "Sum of the gateway's own part of them, microseconds.",
  } satisfies Record<RollupSum, string>).map(([name, description]) => [name, Type.Integer({ description })]),
) as Record<RollupSum, ReturnType<typeof Type.Integer>>;

const UsageRow = named(
  'UsageRow',
  record({
    start: Type.Optional(timestamp('When the interval begins.')),
    key: Type.Optional(NamedId),
    model: Type.Optional(NamedId),
    provider: Type.Optional(NamedId),
    route: Type.Optional(Type.String()),
    status: Type.Optional(oneOf(STATUS_CLASSES)),
    ...counts,
    cost_usd: costUsd(
      'What the requests cost, in USD, as an exact decimal number; null where none has a price.',
    ),
  }),
);

const Report = record({
  from: timestamp('Beginning of the range, on a full minute.'),
  to: timestamp('End of the range, on a full minute.'),
  rows: Type.Array(UsageRow.ref, { description: 'By time, then by requests, most first.' }),
  next_offset: nullable(Type.Integer({ description: '`offset` of the next page; null on the last.' })),
});

const RequestsQuery = record({
  ...range('Finished'),
  ...filters,
  status: Type.Optional(
    Type.Integer({
      minimum: 100,
      maximum: 599,
      description: 'HTTP status; 499 for a client that went away.',
    }),
  ),
  limit: Type.Integer({ minimum: 1, maximum: MAX_REQUESTS, default: DEFAULT_REQUESTS }),
  cursor: Type.Optional(
    Type.String({
      maxLength: MAX_CURSOR_CHARACTERS,
      description: '`next_cursor` of the page before, with the same filters.',
    }),
  ),
  format: Type.Optional(FORMAT),
});

const RequestList = record({
  requests: Type.Array(UsageRequest.ref),
  next_cursor: nullable(
    Type.String({
      description:
        'Null on the last page. A page with few matches may be short, or empty, and still have one.',
    }),
  ),
});

/** Adds the routes. */
export function usageRoutes(app: AdminApp, deps: AdminDependencies): void {
  app.addSchema(UsageRow.schema);
  app.addSchema(UsageRequest.schema);

  app.get(
    '/usage',
    {
      config: { permission: 'usage:read' },
      schema: {
        operationId: 'getUsage',
        summary: 'Usage, summed by group and interval',
        tags: ['usage'],
        querystring: ReportQuery,
        response: { 200: jsonOrCsv(Report), ...refusals('invalid_request') },
      },
    },
    async (request, reply) => {
      const { query } = request;
      if (!wantsCsv(request, query.format)) return report(deps, query);
      return sendCsv(reply, 'usage', await reportLines(deps, query));
    },
  );

  app.get(
    '/usage/requests',
    {
      config: { permission: 'usage:read' },
      schema: {
        operationId: 'listRequests',
        summary: 'Single requests, newest first, for as long as their detail is kept',
        tags: ['usage'],
        querystring: RequestsQuery,
        response: { 200: jsonOrCsv(RequestList), ...refusals('invalid_request') },
      },
    },
    async (request, reply) => {
      const { query } = request;
      if (!wantsCsv(request, query.format)) return requests(deps, query);
      return sendCsv(reply, 'requests', await requestLines(deps, query));
    },
  );
}

/** A success in either form. */
function jsonOrCsv(schema: TSchema) {
  return {
    description: 'As JSON, or with `format=csv` as CSV.',
    content: { 'application/json': { schema }, 'text/csv': { schema: Type.String() } },
  };
}

async function report(deps: AdminDependencies, query: Static<typeof ReportQuery>) {
  const {
    fromMinute,
    toMinute,
    rows: found,
    names,
  } = await summed(deps, query, query.limit + 1, query.offset);
  const rows = found.slice(0, query.limit).map((row) => rowView(row, names));
  const next = query.offset + rows.length;
  const more = found.length > rows.length && next <= MAX_OFFSET;
  const [from, to] = [fromMinute, toMinute].map((minute) => toTimestamp(minute * MS_PER_MINUTE)) as [
    string,
    string,
  ];
  return { from, to, rows, next_offset: more ? next : null };
}

async function reportLines(
  deps: AdminDependencies,
  query: Static<typeof ReportQuery>,
): Promise<Iterable<string>> {
  const { rows, names } = await summed(deps, query, MAX_CSV_ROWS + 1, 0);
  refuseLongTable(rows.length, MAX_CSV_ROWS);
  const start = query.interval === undefined ? [] : ['start'];
  const table = new CsvTable([...start, ...groupsOf(query), ...ROLLUP_SUMS, 'cost_usd']);
  return (function* () {
    yield table.header();
    for (const row of rows) yield table.row(rowView(row, names));
  })();
}

function groupsOf(query: Static<typeof ReportQuery>): Group[] {
  return [...new Set(query.group_by?.split(',') ?? [])] as Group[];
}

async function summed(
  deps: AdminDependencies,
  query: Static<typeof ReportQuery>,
  limit: number,
  offset: number,
) {
  const { fromMs, toMs } = rangeOf(query, deps.now());
  const fromMinute = Math.floor(fromMs / MS_PER_MINUTE);
  const toMinute = Math.ceil(toMs / MS_PER_MINUTE);
  await deps.usage.flush();
  const names = await Names.read(deps);
  const rows = await deps.usage.ledger.queryRollups({
    fromMinute,
    toMinute,
    groupBy: groupsOf(query).map((group) => GROUPS[group]),
    ...(query.interval && { interval: query.interval }),
    filter: rollupFilter(query, names),
    limit,
    offset,
  });
  return { fromMinute, toMinute, rows, names };
}

async function requests(deps: AdminDependencies, query: Static<typeof RequestsQuery>) {
  const names = await Names.read(deps);
  const cursor = query.cursor === undefined ? null : decodeCursor(query.cursor);
  if (query.cursor !== undefined && !cursor) {
    throw new AdminError('invalid_request', 'is not a next_cursor of this API', 'querystring.cursor');
  }
  const page = await listRequests(deps.usage.ledger, {
    ...requestFilter(deps, query, names),
    limit: query.limit,
    ...(cursor && { cursor }),
  });
  return {
    requests: page.requests.map((one) => requestView(one, names)),
    next_cursor: page.next && encodeCursor(page.next),
  };
}

/** The first batch is read before anything is sent, so that a store that is away is an answer of its own. */
async function requestLines(
  deps: AdminDependencies,
  query: Static<typeof RequestsQuery>,
): Promise<AsyncIterable<string>> {
  const names = await Names.read(deps);
  const batches = everyRequest(deps.usage.ledger, requestFilter(deps, query, names));
  let next = await batches.next();
  const table = new CsvTable(Object.keys(UsageRequest.schema.properties));
  return (async function* () {
    yield table.header();
    for (let count = 0; next.done !== true; next = await batches.next()) {
      count += next.value.length;
      if (count > MAX_CSV_REQUESTS) throw new RangeError(`a CSV of more than ${MAX_CSV_REQUESTS} requests`);
      yield next.value.map((one) => table.row(requestView(one, names))).join('');
    }
  })();
}

function requestFilter(deps: AdminDependencies, query: Static<typeof RequestsQuery>, names: Names) {
  const { key_id: keyId, model, provider, route, status } = query;
  return {
    ...rangeOf(query, deps.now()),
    ...(keyId !== undefined && { keyId }),
    ...(model !== undefined && { modelIds: names.idsOf('model', model) }),
    ...(provider !== undefined && { providerIds: names.idsOf('provider', provider) }),
    ...(status !== undefined && { status }),
    ...(route !== undefined && { route: routeId(route) }),
  };
}

function rangeOf(
  { from, to }: { from?: string; to?: string },
  now: number,
): { fromMs: number; toMs: number } {
  const toMs = to === undefined ? now : Date.parse(to);
  const fromMs = from === undefined ? toMs - DEFAULT_RANGE_MS : Date.parse(from);
  if (fromMs < toMs) return { fromMs, toMs };
  throw new AdminError('invalid_request', 'must lie before `to`', 'querystring.from');
}

function rollupFilter(
  query: Static<typeof ReportQuery>,
  names: Names,
): Partial<Record<Dimension, readonly number[]>> {
  const { key_id: keyId, model, provider, route, status } = query;
  return {
    ...(keyId !== undefined && { key_id: [keyId] }),
    ...(model !== undefined && { model_id: names.idsOf('model', model) }),
    ...(provider !== undefined && { provider_id: names.idsOf('provider', provider) }),
    ...(route !== undefined && { route: [routeId(route)] }),
    ...(status !== undefined && { status_class: [STATUS_CLASSES.indexOf(status)] }),
  };
}

function routeId(label: string): number {
  return ROUTES.find((route) => route.label === label)?.id ?? 0;
}

function rowView(
  { minute, group, sums, cost }: RollupRow,
  names: Names,
): Static<(typeof UsageRow)['schema']> {
  const { key_id: key, model_id: model, provider_id: provider, route, status_class: status } = group;
  return {
    ...(minute !== null && { start: toTimestamp(minute * MS_PER_MINUTE) }),
    ...(key !== undefined && { key: names.key(key) }),
    ...(model !== undefined && { model: names.label('model', model) }),
    ...(provider !== undefined && { provider: names.label('provider', provider) }),
    ...(route !== undefined && { route: ROUTES.find(({ id }) => id === route)?.label ?? 'none' }),
    ...(status !== undefined && { status: STATUS_CLASSES[status] ?? '5xx' }),
    ...Object.fromEntries(ROLLUP_SUMS.map((sum) => [sum, sums[sum]])),
    cost_usd: sums.unpriced === sums.requests ? null : formatUsd(cost),
  } as Static<(typeof UsageRow)['schema']>;
}
