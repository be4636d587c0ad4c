import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Follower } from '@tenantry/event-store/adapters/kurrentdb/follower';
import { Logger } from '@tenantry/observability/logger';
import { Bus } from '@tenantry/service/bus';
import { Database } from '@tenantry/service/database';
import { Environment } from '@tenantry/service/environment';
import { ReadinessCheck } from '@tenantry/service/health';
import { ownerName } from '@tenantry/service/owner';

/** Where KurrentDB decides the logs: fills their copy in PostgreSQL, and then wakes who publishes. Else it does nothing. */
@Injectable()
export class Following extends ReadinessCheck implements OnApplicationBootstrap, OnModuleDestroy {
  override readonly name = 'copy of the logs';
  private follower: Follower | undefined;

  constructor(
    private readonly database: Database,
    private readonly bus: Bus,
    private readonly logger: Logger,
    private readonly environment: Environment,
  ) {
    super();
  }

  async onApplicationBootstrap(): Promise<void> {
    const url = this.environment.values.TENANTRY_EVENTSTORE_URL;
    if (url === undefined) return;
    const [{ connectKurrentDb }, { Follower }] = await Promise.all([
      import('@tenantry/event-store/adapters/kurrentdb/connection'),
      import('@tenantry/event-store/adapters/kurrentdb/follower'),
    ]);
    const owner = ownerName('relay', this.environment.values);
    this.follower = new Follower({
      client: connectKurrentDb(url, owner),
      pool: this.database.pool,
      owner,
      logger: this.logger,
      onCopied: (tenants) => this.bus.connection.publish('tenantry.nudge', JSON.stringify({ tenants })),
    });
    this.follower.start();
  }

  /** Rejects with the reason when the copy must not go on. */
  override async check(): Promise<void> {
    const state = this.follower?.state;
    if (state?.state === 'stopped') throw new Error(state.reason);
  }

  async onModuleDestroy(): Promise<void> {
    await this.follower?.stop();
  }
}
