/**
 * Answers as CSV (RFC 4180: commas, CRLF, quotes doubled), for spreadsheets and for those who keep books.
 *
 * A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and a name in it may have been chosen by
 * somebody else. Such text gets an apostrophe in front, which spreadsheets show as text; numbers and times are ours and
 * stay as they are.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { AdminError } from './errors.js';
import { oneOf } from './schemas.js';

/** The parameter that asks for it; the header `Accept: text/csv` does as well. */
export const FORMAT = oneOf(['json', 'csv'], {
  description:
    '`csv` answers everything at once as text/csv, without pages: paging is without effect. So does ' +
    '`Accept: text/csv`. A transfer that breaks off is not complete.',
});

const CSV = 'text/csv';

/** Fields that have an id and a name, which become two columns. */
const NAMED: ReadonlySet<string> = new Set(['key', 'model', 'provider', 'target']);

/** Characters that make a spreadsheet compute, or that it drops before it looks. */
const FORMULA = /^[=+\-@\t\r]/;

const NUMBER = /^-?\d+(\.\d+)?$/;

/** Whether a request wants CSV. */
export function wantsCsv(request: FastifyRequest, format: 'json' | 'csv' | undefined): boolean {
  if (format !== undefined) return format === 'csv';
  const accepted = request.headers.accept ?? '';
  return accepted.split(',').some((type) => type.split(';', 1)[0]?.trim().toLowerCase() === CSV);
}

/** The first line, and those of rows, for these fields of a row. */
export class CsvTable {
  constructor(private readonly fields: readonly string[]) {}

  header(): string {
    return line(this.fields.flatMap((field) => (NAMED.has(field) ? [`${field}_id`, field] : [field])));
  }

  row(row: Readonly<Record<string, unknown>>): string {
    return line(this.fields.flatMap((field) => cells(field, row[field])));
  }
}

/** Answers with lines as they come. What fails later breaks the transfer off, since its head is sent already. */
export function sendCsv(
  reply: FastifyReply,
  name: string,
  lines: AsyncIterable<string> | Iterable<string>,
): FastifyReply {
  void reply.header('content-disposition', `attachment; filename="${name}.csv"`);
  return reply.type(`${CSV}; charset=utf-8`).send(Readable.from(lines, { objectMode: false }));
}

/** Refuses a table that would be too long, before anything of it is sent. */
export function refuseLongTable(rows: number, most: number): void {
  if (rows <= most) return;
  const message = `the report has more than ${most} rows; ask for a shorter range, a longer interval or fewer groups`;
  throw new AdminError('invalid_request', message, 'querystring');
}

function cells(field: string, value: unknown): readonly unknown[] {
  if (!NAMED.has(field)) return [value];
  const { id, name } = (value ?? {}) as { id?: number; name?: string | null };
  return [id, name];
}

function line(values: readonly unknown[]): string {
  return `${values.map(cell).join(',')}\r\n`;
}

function cell(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return '';
  const isFormula = FORMULA.test(value) && !NUMBER.test(value);
  const text = isFormula ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
