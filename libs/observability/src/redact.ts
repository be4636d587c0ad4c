const SECRET =
  /^(authorization|cookie|set-cookie|x-api-key|passw(or)?d|secret|credentials?|creds|token|key|private_?key|api_?key)$|(password|secret|token|apikey|privatekey|creds)$/i;
const REMOVED = '[redacted]';
const MAX_DEPTH = 6;

/** The value without what its names say is secret. What is clean comes back as it is, not copied. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Error || value instanceof Date) return value;
  if (Buffer.isBuffer(value)) return `[${value.length} bytes]`;
  if (depth > MAX_DEPTH) return '[…]';
  let copy: Record<string, unknown> | unknown[] | null = null;
  for (const [name, member] of Object.entries(value)) {
    const clean = SECRET.test(name) && member != null ? REMOVED : redact(member, depth + 1);
    if (clean === member) continue;
    copy ??= Array.isArray(value) ? [...value] : { ...value };
    (copy as Record<string, unknown>)[name] = clean;
  }
  return copy ?? value;
}

/** Secrets that hide in a finished line, in texts of errors above all: API keys, and passwords in URLs. */
export const redactLine = (line: string): string =>
  line
    // What a failed statement was given: a row's values may be anybody's secret.
    .replace(/\\nparams: (?:[^"\\]|\\(?!n {4}at ).)*/g, '\\nparams: [redacted]')
    .replace(/tnt_([a-z0-9]{1,16})_[0-9A-Za-z]{20,}/g, 'tnt_$1_[redacted]')
    .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s:/@"\\]*):[^\s@"\\]+@/gi, '$1:[redacted]@');

/** Stack or message of an error, to be written down: without the values that a failed statement was given. */
export const errorText = (error: unknown): string =>
  withoutQuoted(error instanceof Error ? (error.stack ?? error.message) : String(error), quotedBy(error)).replace(
    /\nparams: [\s\S]*?(?=\n {4}at |$)/g,
    '\nparams: [redacted]',
  );

/** An error of Postgres's own: its `detail` and `where` hold rows and parameters. */
export const isOfPostgres = (value: { severity?: unknown; code?: unknown }): boolean =>
  typeof value.severity === 'string' && typeof value.code === 'string' && /^[0-9A-Z]{5}$/.test(value.code);

/** The values that Postgres quotes in messages about data (SQLSTATE class 22), of the error and all that are inside it. */
export function quotedBy(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > MAX_DEPTH) return [];
  const { code } = error as { code?: unknown };
  const own = isOfPostgres(error as { code?: unknown }) && String(code).startsWith('22') ? (/"[\s\S]*"/.exec(error.message) ?? []) : [];
  const inside = [error.cause, ...(error instanceof AggregateError ? error.errors : [])];
  return [...own, ...inside.flatMap((one) => quotedBy(one, depth + 1))];
}

export const withoutQuoted = (text: string, quoted: readonly string[]): string =>
  quoted.reduce((clean, value) => clean.replaceAll(value, '"[redacted]"'), text);
