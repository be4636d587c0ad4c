import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type Reservation, Reservations } from '@tenantry/messaging/reservations';
import { Logger } from '@tenantry/observability/logger';
import { Environment } from '@tenantry/service/environment';
import { every } from '@tenantry/service/every';
import { systemCommand } from '../saga/system-command.js';
import { abandon, tenant } from './tenant.js';

const EVERY_MS = 15_000;
const BATCH = 100;

/**
 * Slugs that were reserved for a registration that never came are given back: first an abandonment event on the
 * claimant's stream, so that a registration that comes late meets another version, then the release.
 */
@Injectable()
export class AbandonRegistrations implements OnApplicationBootstrap, OnApplicationShutdown {
  private end?: () => Promise<void>;
  constructor(
    private readonly reservations: Reservations,
    private readonly log: TenantLog,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly environment: Environment,
  ) {}

  onApplicationBootstrap(): void {
    if (this.environment.values.TENANTRY_ROLE === 'api') return;
    const failed = (error: unknown) => this.logger.warn({ err: error }, 'expired slugs could not be released; the next round tries again');
    this.end = every(EVERY_MS, () => this.sweep(), failed);
  }
  async onApplicationShutdown(): Promise<void> {
    await this.end?.();
  }

  async sweep(): Promise<void> {
    const expired = (await this.reservations.expired(BATCH)).filter(({ kind }) => kind === 'slug');
    await Promise.all(expired.map((reservation) => this.settle(reservation)));
  }

  private async settle({ name, tenantId, expiresAt }: Reservation): Promise<void> {
    const command = systemCommand(derivedId('command', tenantId, 'abandon', name, expiresAt));
    const { state } = await this.log.transact(tenant, { tenant: tenantId, command }, abandon(name, this.clock.now()));
    if (state.status !== 'none' && state.slug === name) await this.reservations.confirm('slug', name, tenantId);
    else await this.reservations.releaseExpired('slug', name, tenantId);
  }
}
