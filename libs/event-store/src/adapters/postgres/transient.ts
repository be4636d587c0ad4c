/** SQLSTATEs after which the same call may succeed: the server or its connection went, a standby was promoted, locks met. */
const states = new Set(['57P01', '57P02', '57P03', '57P05', '53300', '25006', '40001', '40P01']);
const systemErrors = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** Whether an error says that the connection failed, not the statement. */
export function isTransient(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isTransient);
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string') return states.has(code) || code.startsWith('08') || systemErrors.has(code);
  // The query builder wraps what the driver threw.
  if (error.message.startsWith('Failed query:')) return isTransient(error.cause);
  // node-postgres gives these without a code.
  return /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|timeout expired|Query read timeout)/.test(
    error.message,
  );
}

/** Whether the server refused the statement for what is in it (SQLSTATE classes 22 and 23). */
export function isStatementFault(error: unknown): boolean {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' && /^2[23]/.test(code);
}
