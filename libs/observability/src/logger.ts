import { type DestinationStream, type Logger as Pino, pino, stdSerializers } from 'pino';
import { currentContext } from './context.js';
import { isOfPostgres, quotedBy, redact, redactLine, withoutQuoted } from './redact.js';
import { traceIdOf } from './traceparent.js';

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';
type Write = (details: object | string, message?: string) => void;

/** Token for injection. An error goes in as `{err: error}`. Trace and tenant of the work at hand are added by itself. */
export abstract class Logger {
  abstract trace(details: object | string, message?: string): void;
  abstract debug(details: object | string, message?: string): void;
  abstract info(details: object | string, message?: string): void;
  abstract warn(details: object | string, message?: string): void;
  abstract error(details: object | string, message?: string): void;
  abstract fatal(details: object | string, message?: string): void;
  /** A logger whose lines carry these fields too. */
  abstract child(fields: object): Logger;
}

class PinoLogger extends Logger {
  constructor(
    private readonly pino: Pino,
    private readonly fields: object | null = null,
  ) {
    super();
  }
  override trace: Write = (details, message) => this.write('trace', details, message);
  override debug: Write = (details, message) => this.write('debug', details, message);
  override info: Write = (details, message) => this.write('info', details, message);
  override warn: Write = (details, message) => this.write('warn', details, message);
  override error: Write = (details, message) => this.write('error', details, message);
  override fatal: Write = (details, message) => this.write('fatal', details, message);
  override child(fields: object): Logger {
    return new PinoLogger(this.pino, { ...this.fields, ...fields });
  }
  private write(level: LogLevel, details: object | string, message?: string): void {
    if (!this.pino.isLevelEnabled(level)) return;
    const text = typeof details === 'string' ? details : message;
    const given = typeof details === 'string' ? {} : details instanceof Error ? { err: details } : details;
    // Fields are merged here, not with pino's child(): a field that a line gives itself must not stand there twice.
    this.pino[level](this.fields === null ? given : { ...this.fields, ...given }, text);
  }
}

export interface LoggerOptions {
  service: string;
  level?: LogLevel;
  /** Fields of every line. */
  fields?: object;
  /** Other than stdout: for tests. */
  destination?: DestinationStream;
}

/** An error with its causes; the values that a failed statement was given stay out. */
function errorFields(error: Error): object {
  const fields: Record<string, unknown> = stdSerializers.errWithCause(error);
  clean(fields, quotedBy(error));
  return fields;
}

function clean(fields: Record<string, unknown>, quoted: readonly string[]): void {
  delete fields['params'];
  if (isOfPostgres(fields)) for (const name of ['detail', 'where']) delete fields[name];
  for (const name of ['message', 'stack'])
    if (typeof fields[name] === 'string') fields[name] = withoutQuoted(fields[name] as string, quoted);
  for (const inside of [fields['cause'], ...((fields['aggregateErrors'] as unknown[] | undefined) ?? [])])
    if (typeof inside === 'object' && inside !== null) clean(inside as Record<string, unknown>, quoted);
}

const contextFields = () => {
  const context = currentContext();
  if (context === undefined) return {};
  return { traceId: traceIdOf(context.traceparent), tenantId: context.tenantId };
};

/** JSON lines `{level, time, service, traceId, tenantId, …, msg}` to stdout. What is secret by name or form never gets there. */
export function createLogger({ service, level = 'info', fields = {}, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: { service, ...fields },
    timestamp: pino.stdTimeFunctions.isoTime,
    mixin: contextFields,
    // What the line itself says about its tenant beats the context.
    mixinMergeStrategy: (merged: object, mixed: object) => ({ ...mixed, ...merged }),
    formatters: { level: (label: string) => ({ level: label }), log: (details: object) => redact(details) as Record<string, unknown> },
    serializers: {
      err: errorFields,
      error: (value: unknown) => (value instanceof Error ? errorFields(value) : value),
    },
    hooks: { streamWrite: redactLine },
  };
  return new PinoLogger(destination ? pino(options, destination) : pino(options, pino.destination({ fd: 1, sync: true })));
}

class SilentLogger extends Logger {
  override trace(): void {}
  override debug(): void {}
  override info(): void {}
  override warn(): void {}
  override error(): void {}
  override fatal(): void {}
  override child(): Logger {
    return this;
  }
}
/** Says nothing: for tests of what needs a logger. */
export const silentLogger: Logger = new SilentLogger();
