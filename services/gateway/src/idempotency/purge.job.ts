import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Logger } from '@tenantry/observability/logger';
import { every } from '@tenantry/service/every';
import { FirstRequests } from './first-requests.js';

const EVERY_MS = 60_000;
const BATCH = 1_000;

/** Removes first answers that have expired. */
@Injectable()
export class PurgeJob implements OnApplicationBootstrap, OnApplicationShutdown {
  private end?: () => Promise<void>;
  constructor(
    private readonly firsts: FirstRequests,
    private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    const failed = (error: unknown) =>
      this.logger.warn({ err: error }, 'expired first answers could not be removed; the next round tries again');
    this.end = every(EVERY_MS, () => this.purge(), failed);
  }
  async onApplicationShutdown(): Promise<void> {
    await this.end?.();
  }

  private async purge(): Promise<void> {
    while ((await this.firsts.purge(BATCH)) === BATCH);
  }
}
