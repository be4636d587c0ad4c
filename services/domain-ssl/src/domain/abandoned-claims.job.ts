import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Logger } from '@tenantry/observability/logger';
import { Environment } from '@tenantry/service/environment';
import { every } from '@tenantry/service/every';
import { AbandonedClaims } from './abandoned-claims.js';

const EVERY_MS = 5_000;

@Injectable()
export class AbandonedClaimsJob implements OnApplicationBootstrap, OnApplicationShutdown {
  private end?: () => Promise<void>;
  constructor(
    private readonly claims: AbandonedClaims,
    private readonly logger: Logger,
    private readonly environment: Environment,
  ) {}

  onApplicationBootstrap(): void {
    if (this.environment.values.TENANTRY_ROLE === 'api') return;
    const failed = (error: unknown) => this.logger.warn({ err: error }, 'Abandoned claims could not be freed; the next round tries again');
    this.end = every(EVERY_MS, () => this.free(), failed);
  }
  async onApplicationShutdown(): Promise<void> {
    await this.end?.();
  }

  private async free(): Promise<void> {
    const freed = await this.claims.free();
    if (freed > 0) this.logger.info({ freed }, 'Host names of abandoned claims are free again');
  }
}
