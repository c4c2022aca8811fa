/** `/providers` and `/models`: what is configured, with every credential reduced to its last four characters. */
import { Type } from 'typebox';
import type { ModelView, ProviderView } from '../../governance/ports.js';
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

/** A model, as answered. */
export const Model = named(
  'Model',
  record(
    {
      id: Type.Integer(),
      name: Type.String({ description: 'Exact name, or a pattern with one `*`.' }),
      aliases: Type.Array(Type.String()),
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
  return { id: model.id, name: model.name, aliases: [...model.aliases], targets };
}
