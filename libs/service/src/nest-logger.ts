import type { LoggerService } from '@nestjs/common';
import type { Logger } from '@tenantry/observability/logger';

/** Nest's own lines, in our form. What it says while it starts is of interest at the level `debug` only. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}
  log(message: unknown): void {
    this.logger.debug({ source: 'nest' }, String(message));
  }
  debug(message: unknown): void {
    this.logger.trace({ source: 'nest' }, String(message));
  }
  verbose(message: unknown): void {
    this.logger.trace({ source: 'nest' }, String(message));
  }
  warn(message: unknown): void {
    this.logger.warn({ source: 'nest' }, String(message));
  }
  error(message: unknown, ...more: unknown[]): void {
    this.logger.error({ source: 'nest', err: message instanceof Error ? message : undefined, more: more.map(String) }, String(message));
  }
  fatal(message: unknown): void {
    this.logger.fatal({ source: 'nest' }, String(message));
  }
}
