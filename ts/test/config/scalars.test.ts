import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatAddress,
  isLoopback,
  MAX_DURATION_MS,
  MAX_SIZE_BYTES,
  parseAddress,
  parseDuration,
  parseMoment,
  parseSize,
} from '../../src/config/scalars.js';

describe('parseDuration', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['24h', MAX_DURATION_MS],
    ['0', 0],
    [0, 0],
    ['0s', 0],
    ['25h', null],
    ['30', null],
    [30, null],
    ['', null],
    ['s', null],
    ['1.5s', null],
    ['-1s', null],
    ['1 s', null],
    ['1S', null],
    ['1d', null],
    ['99999999999999999999ms', null],
    ['1constructor', null],
  ])('%j is %j', (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });
});

describe('parseSize', () => {
  it.each([
    ['1B', 1],
    ['32MiB', 33_554_432],
    ['10MB', 10_000_000],
    ['1GiB', MAX_SIZE_BYTES],
    ['2GiB', null],
    ['32', null],
    ['32mib', null],
    ['1TB', null],
  ])('%j is %j', (text, expected) => {
    expect(parseSize(text)).toBe(expected);
  });
});

describe('parseAddress', () => {
  it.each([
    ['127.0.0.1:8080', '127.0.0.1:8080'],
    ['localhost:1', '127.0.0.1:1'],
    [':8080', '0.0.0.0:8080'],
    ['*:8080', '0.0.0.0:8080'],
    ['[::1]:65535', '[::1]:65535'],
    ['[::]:0', '[::]:0'],
    ['::1:8080', null],
    ['[fe80::1%eth0]:1', null],
    ['[127.0.0.1]:1', null],
    ['127.0.0.1', null],
    ['127.0.0.1:65536', null],
    ['127.0.0.1:-1', null],
    ['127.1:80', null],
    ['0x7f.0.0.1:80', null],
    ['example.com:80', null],
    ['http://127.0.0.1:80', null],
    ['', null],
  ])('%j is %j', (text, expected) => {
    const address = parseAddress(text);
    expect(address === null ? null : formatAddress(address)).toBe(expected);
  });

  it('reads back what it formats', () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(host, fc.integer({ min: 0, max: 65_535 }), (ip, port) => {
        expect(parseAddress(formatAddress({ host: ip, port }))).toEqual({ host: ip, port });
      }),
    );
  });
});

describe('isLoopback', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.0.0.1', false],
    ['::ffff:10.0.0.1', false],
  ])('%s: %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });
});

describe('parseMoment', () => {
  it.each([
    ['1970-01-01', 0],
    ['1970-01-01T00:00:01Z', 1_000],
    ['1970-01-01T01:00+01:00', 0],
    ['1970-01-01T00:00:00.5Z', 500],
    ['2028-02-29', Date.UTC(2028, 1, 29)],
    ['2027-02-29', null],
    ['2027-02-30T00:00:00Z', null],
    ['2027-13-01', null],
    ['2027-01-01T25:00:00Z', null],
    ['2027-01-01T00:00:00', null],
    ['2027-1-1', null],
    ['tomorrow', null],
  ])('%j is %j', (text, expected) => {
    expect(parseMoment(text)).toBe(expected);
  });
});
