/** `/config`: what is being served, checking a document, reloading the file. */
import { type Static, Type } from 'typebox';
import type { ConfigProblem, ConfigReport, ConfigStatus } from '../../governance/ports.js';
import type { AdminApp } from '../app.js';
import { AdminError } from '../errors.js';
import { reasons } from '../served-changes.js';
import type { AdminDependencies } from '../ports.js';
import { named, nullable, oneOf, record, refusals, timestamp, toTimestamp } from '../schemas.js';
import { Model, modelView, Provider, providerView } from './catalogue.js';

/** Longest document that may be sent for a check, in characters. */
export const MAX_DOCUMENT_CHARACTERS = 4 * 1024 * 1024;

const READ = { config: { permission: 'config:read' } } as const;
const WRITE = { config: { permission: 'config:write' } } as const;

const Problem = named(
  'ConfigProblem',
  record(
    {
      severity: oneOf(['error', 'warning']),
      code: Type.String({ description: 'Stable and machine-readable, as `unknown_provider`.' }),
      message: Type.String({ description: 'What was found and what was expected.' }),
      path: Type.String({
        description: 'Where in the document, as `models.fast.targets[0].provider`; empty for all of it.',
      }),
      file: nullable(Type.String()),
      line: nullable(Type.Integer({ description: 'From 1.' })),
      column: nullable(Type.Integer({ description: 'From 1.' })),
    },
    { description: 'One thing that is wrong, or worth a warning, in a configuration.' },
  ),
);

const Report = named(
  'ConfigReport',
  record({
    ok: Type.Boolean({ description: 'Whether there are no errors.' }),
    version: Type.Integer({
      description: 'Version now serving; a refused configuration leaves it as it was.',
    }),
    problems: Type.Array(Problem.ref),
  }),
);

const status = {
  version: Type.Integer({ description: 'Rises with every accepted change.' }),
  loaded_at: timestamp('When this version was accepted.'),
  source_file: nullable(Type.String({ description: 'Null for the built-in defaults.' })),
  last_error: nullable(
    record(
      { at: timestamp('When the last reload was refused.'), problems: Type.Array(Problem.ref) },
      { description: 'Why the last reload was refused; null when it was accepted.' },
    ),
  ),
  warnings: Type.Array(Problem.ref),
};

const Status = record({
  ...status,
  workers: Type.Array(record({ worker: Type.Integer(), version: Type.Integer() }), {
    description: 'Version that new requests begin with, per worker thread.',
  }),
});

const Config = record({ ...status, providers: Type.Array(Provider.ref), models: Type.Array(Model.ref) });

const Document = record({
  document: Type.String({
    maxLength: MAX_DOCUMENT_CHARACTERS,
    description: 'The configuration, as YAML or JSON text.',
  }),
});

function operation(operationId: string, summary: string) {
  return { operationId, summary, tags: ['config'] };
}

const CONFIG_ROUTES = {
  get: {
    ...operation('getConfig', 'The configuration being served, secrets masked'),
    response: { 200: Config, ...refusals() },
  },
  status: {
    ...operation('getConfigStatus', 'Version served, per worker, and what the last reload came to'),
    response: { 200: Status, ...refusals() },
  },
  validate: {
    ...operation('validateConfig', 'Check a configuration without applying it'),
    body: Document,
    response: { 200: Report.ref, ...refusals('invalid_request', 'body_too_large', 'unsupported_media_type') },
  },
  reload: {
    ...operation('reloadConfig', 'Read the configuration file again and apply it, whole or not at all'),
    response: { 200: Report.ref, ...refusals('config_refused') },
  },
};

/** Adds the routes. */
export function configRoutes(app: AdminApp, { config, dataPlane }: AdminDependencies): void {
  for (const { schema } of [Problem, Report]) app.addSchema(schema);

  app.get('/config', { ...READ, schema: CONFIG_ROUTES.get }, async () => ({
    ...statusView(config.status()),
    providers: config.providers().map(providerView),
    models: config.models().map(modelView),
  }));

  app.get('/config/status', { ...READ, schema: CONFIG_ROUTES.status }, async () => {
    const { workers } = dataPlane.stats();
    const versions = workers.map(({ worker, snapshot_version: version }) => ({ worker, version }));
    return { ...statusView(config.status()), workers: versions };
  });

  const bodyLimit = 2 * MAX_DOCUMENT_CHARACTERS;
  app.post('/config/validate', { ...READ, bodyLimit, schema: CONFIG_ROUTES.validate }, async ({ body }) =>
    reportView(await config.validate(body.document)),
  );

  app.post('/config/reload', { ...WRITE, schema: CONFIG_ROUTES.reload }, async () => {
    const report = await config.reload();
    if (report.ok) return reportView(report);
    const message = `the configuration was refused and version ${report.version} goes on serving: ${reasons(report)}`;
    throw new AdminError('config_refused', message, firstPlace(report));
  });
}

function statusView({ version, loadedAt, sourceFile, lastError, warnings }: ConfigStatus) {
  return {
    version,
    loaded_at: toTimestamp(loadedAt),
    source_file: sourceFile,
    last_error: lastError && { at: toTimestamp(lastError.at), problems: lastError.problems.map(problemView) },
    warnings: warnings.map(problemView),
  };
}

function reportView({ ok, version, problems }: ConfigReport): Static<(typeof Report)['schema']> {
  return { ok, version, problems: problems.map(problemView) };
}

function problemView(problem: ConfigProblem): Static<(typeof Problem)['schema']> {
  const { severity, code, message, path, file, line, column } = problem;
  return { severity, code, message, path, file, line, column };
}

/** `sluice.yaml:12 models.fast`, of the first error. */
function firstPlace({ problems }: ConfigReport): string | undefined {
  const first = problems.find((problem) => problem.severity === 'error');
  if (!first) return undefined;
  const line = first.line === null ? '' : `:${first.line}`;
  return [first.file && `${first.file}${line}`, first.path].filter(Boolean).join(' ') || undefined;
}
