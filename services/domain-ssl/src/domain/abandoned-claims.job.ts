import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Logger } from '@tenantry/observability/logger';
import { Environment } from '@tenantry/service/environment';
import { AbandonedClaims } from './abandoned-claims.js';

const EVERY_MS = 5_000;

@Injectable()
export class AbandonedClaimsJob implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | null = null;

  constructor(
    private readonly claims: AbandonedClaims,
    private readonly logger: Logger,
    private readonly environment: Environment,
  ) {}

  onApplicationBootstrap(): void {
    if (this.environment.values.TENANTRY_ROLE !== 'api') this.timer = setInterval(() => this.tick(), EVERY_MS);
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }

  private tick(): void {
    this.running ??= this.claims
      .free()
      .then((freed) => {
        if (freed > 0) this.logger.info({ freed }, 'Host names of abandoned claims are free again');
      })
      .catch((error: unknown) => this.logger.warn({ err: error }, 'Abandoned claims could not be freed; the next round tries again'))
      .finally(() => {
        this.running = null;
      });
  }
}
