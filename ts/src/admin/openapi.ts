/** The OpenAPI document, generated from the routes' schemas. */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { Type } from 'typebox';
import type { AdminApp } from './app.js';
import { refusals } from './schemas.js';

const DESCRIPTION = `Operating a running gateway: virtual keys, usage, configuration, health.

Every request needs the admin token as \`Authorization: Bearer TOKEN\`, but for \`/healthz\` and \`/readyz\`. Bodies are JSON
and are refused with unknown fields. Refusals have one shape, \`{"error": {"code", "message", "path"}}\`; codes are stable.
Times are RFC 3339.`;

/** Options of the generator. */
export function openApi(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sluice admin API',
        description: DESCRIPTION,
        version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: 'http://127.0.0.1:8081', description: 'The default admin listener.' }],
      tags: [
        { name: 'access', description: 'Tokens and roles of this API.' },
        { name: 'audit', description: 'What was changed, by whom.' },
        { name: 'secrets', description: 'Stored keys of providers, and what they are sealed with.' },
        { name: 'entities', description: 'Customers, teams, users and tags.' },
        { name: 'keys', description: 'Virtual keys.' },
        { name: 'catalogue', description: 'Configured providers and models.' },
        { name: 'usage', description: 'What was used.' },
        { name: 'config', description: 'The configuration.' },
        { name: 'health', description: 'Probes, state and metrics.' },
      ],
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    refResolver: { buildLocalReference: (schema, _base, _fragment, index) => schemaName(schema, index) },
  };
}

/** Adds `/openapi.json`. */
export function openApiRoute(app: AdminApp): void {
  app.get(
    '/openapi.json',
    {
      config: { permission: 'authenticated' },
      schema: {
        operationId: 'getOpenApi',
        summary: 'This document',
        tags: ['health'],
        response: {
          200: Type.Object({}, { additionalProperties: true, description: 'OpenAPI 3.1.' }),
          ...refusals(),
        },
      },
    },
    async () => app.swagger() as Record<string, unknown>,
  );
}

function schemaName(schema: { $id?: unknown }, index: number): string {
  return typeof schema.$id === 'string' ? schema.$id : `schema-${index}`;
}
