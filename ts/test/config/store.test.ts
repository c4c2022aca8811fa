import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.js';
import { surroundings } from './surroundings.js';

const FILES = { '/etc/sluice/ca.pem': 'PEM' };

function postgres(url: string, more = '') {
  const text = `store: { postgres: { url: env:DATABASE_URL${more} } }`;
  const { config, problems } = parseConfig(
    text,
    '/etc/sluice/sluice.yaml',
    surroundings({ DATABASE_URL: url }, FILES),
  );
  expect(problems).toEqual([]);
  return config?.postgres;
}

describe('store.postgres', () => {
  it('takes a URL apart and fills in the rest', () => {
    expect(postgres('postgres://sluice:s%40cret@db.internal/gateway')).toEqual({
      host: 'db.internal',
      port: 5_432,
      user: 'sluice',
      password: 's@cret',
      database: 'gateway',
      schema: 'sluice',
      maxConnections: 10,
      tls: { verify: 'name', caPem: null },
    });
  });

  it('takes a schema, a bound and authorities of its own', () => {
    const more = ', schema: gw_1, max_connections: 4, ca_file: ca.pem';
    expect(postgres('postgresql://u@[2001:db8::1]:6000/d', more)).toEqual({
      host: '2001:db8::1',
      port: 6_000,
      user: 'u',
      password: null,
      database: 'd',
      schema: 'gw_1',
      maxConnections: 4,
      tls: { verify: 'name', caPem: 'PEM' },
    });
  });

  it.each([
    ['postgres://u:p@localhost/d', null],
    ['postgres://u:p@127.0.0.1/d', null],
    ['postgres://u:p@[::1]/d', null],
    ['postgres://u:p@localhost/d?sslmode=verify-full', 'name'],
    ['postgres://u:p@db/d?sslmode=disable', null],
    ['postgres://u:p@db/d?sslmode=require', 'nothing'],
    ['postgres://u:p@db/d?sslmode=verify-ca', 'chain'],
    ['postgres://u:p@db/d?sslmode=verify-full', 'name'],
    ['postgres://u:p@db/d', 'name'],
  ])('encrypts unless told otherwise or on this machine: %s', (url, verify) => {
    expect(postgres(url)?.tls?.verify ?? null).toBe(verify);
  });

  it('leads to a Unix socket', () => {
    expect(postgres('postgres://u@localhost/d?host=/run/postgresql')).toMatchObject({
      host: '/run/postgresql',
      tls: null,
    });
  });

  it('is absent for SQLite', () => {
    expect(parseConfig('store: {}', null, surroundings()).config?.postgres).toBeNull();
  });
});
