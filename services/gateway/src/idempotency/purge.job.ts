import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Logger } from '@tenantry/observability/logger';
import { FirstRequests } from './first-requests.js';

const EVERY_MS = 60_000;
const BATCH = 1_000;

/** Removes first answers that have expired. */
@Injectable()
export class PurgeJob implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer?: NodeJS.Timeout;
  constructor(
    private readonly firsts: FirstRequests,
    private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => void this.run(), EVERY_MS);
    this.timer.unref();
  }
  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  async run(): Promise<void> {
    try {
      while ((await this.firsts.purge(BATCH)) === BATCH);
    } catch (error) {
      this.logger.warn({ err: error }, 'expired first answers could not be removed; the next run tries again');
    }
  }
}
