/** `/providers` and `/models`: what is configured, with every credential reduced to its last four characters. */
import { Type } from 'typebox';
import type { ModelInfoView, ModelView, ProviderView } from '../../governance/ports.js';
import type { AdminApp } from '../app.js';
import type { AdminDependencies } from '../ports.js';
import { named, nullable, record, refusals } from '../schemas.js';

/** A provider, as answered. */
export const Provider = named(
  'Provider',
  record(
    {
      id: Type.Integer(),
      name: Type.String(),
      dialect: Type.String({ description: 'Wire format it speaks.' }),
      base_url: Type.String(),
      auth: Type.String({ description: 'How its key is sent.' }),
      keys: Type.Array(
        record({
          id: Type.Integer(),
          weight: Type.Integer({ description: 'Share of the traffic relative to the other keys.' }),
          hint: Type.String({ description: 'Last four characters of the key; more of it is never shown.' }),
        }),
      ),
    },
    { description: 'An upstream account.' },
  ),
);

/** What is known of a model, as answered. */
const ModelFacts = record(
  {
    mode: Type.String({ description: '`chat`, `completion`, `embedding` or `rerank`.' }),
    context_window: nullable(Type.Integer({ description: 'Tokens of prompt and answer together.' })),
    max_output_tokens: nullable(Type.Integer({ description: 'Most tokens of an answer.' })),
    owned_by: nullable(Type.String({ description: 'Who made it.' })),
    input_modalities: Type.Array(Type.String()),
    output_modalities: Type.Array(Type.String()),
    capabilities: Type.Array(Type.String()),
  },
  { description: 'What is known of the model. Null for patterns, and for models that are not known.' },
);

/** A model, as answered. */
export const Model = named(
  'Model',
  record(
    {
      id: Type.Integer(),
      name: Type.String({ description: 'Exact name, or a pattern with one `*`.' }),
      aliases: Type.Array(Type.String()),
      info: nullable(ModelFacts),
      targets: Type.Array(
        record({
          id: Type.Integer(),
          provider: Type.String(),
          upstream_model: nullable(Type.String({ description: "Null where the client's own name is sent." })),
          weight: Type.Integer({ description: 'Share of the traffic within the tier.' }),
          tier: Type.Integer({ description: 'Order of preference; 0 first.' }),
        }),
      ),
    },
    { description: 'A name that clients may ask for, and where it leads.' },
  ),
);

/** Adds the routes. */
export function catalogueRoutes(app: AdminApp, { config }: AdminDependencies): void {
  app.addSchema(Provider.schema);
  app.addSchema(Model.schema);

  app.get(
    '/providers',
    {
      config: { permission: 'providers:read' },
      schema: {
        operationId: 'listProviders',
        summary: 'List providers',
        tags: ['catalogue'],
        response: { 200: record({ providers: Type.Array(Provider.ref) }), ...refusals() },
      },
    },
    async () => ({ providers: config.providers().map(providerView) }),
  );

  app.get(
    '/models',
    {
      config: { permission: 'models:read' },
      schema: {
        operationId: 'listModels',
        summary: 'List models',
        tags: ['catalogue'],
        response: { 200: record({ models: Type.Array(Model.ref) }), ...refusals() },
      },
    },
    async () => ({ models: config.models().map(modelView) }),
  );
}

/** The provider in the API's terms. */
export function providerView(provider: ProviderView) {
  const { id, name, dialect, auth } = provider;
  return {
    id,
    name,
    dialect,
    base_url: provider.baseUrl,
    auth,
    keys: provider.keys.map((key) => ({ ...key })),
  };
}

/** The model in the API's terms. */
export function modelView(model: ModelView) {
  const targets = model.targets.map(({ upstreamModel, ...target }) => ({
    ...target,
    upstream_model: upstreamModel,
  }));
  const { id, name, aliases, info } = model;
  return { id, name, aliases: [...aliases], info: info === null ? null : infoView(info), targets };
}

function infoView(info: ModelInfoView) {
  return {
    mode: info.mode,
    context_window: info.contextWindow,
    max_output_tokens: info.maxOutputTokens,
    owned_by: info.ownedBy,
    input_modalities: [...info.inputModalities],
    output_modalities: [...info.outputModalities],
    capabilities: [...info.capabilities],
  };
}
