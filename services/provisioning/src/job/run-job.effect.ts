import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Clock } from '@tenantry/contracts/clock';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { ComeBack, type Effect, EffectHandler, GiveUp } from '@tenantry/messaging/effects';
import { runWith } from '@tenantry/observability/context';
import { Logger } from '@tenantry/observability/logger';
import { Environment } from '@tenantry/service/environment';
import { ownerName } from '@tenantry/service/owner';
import { requirePermissions } from '../operation/operation-permissions.js';
import type { JobPayload } from './job.process.js';
import { JobDrive } from './job-drive.js';
import { JobHandler } from './job-handler.js';
import { JobRows } from './job-rows.js';
import { Jobs } from './jobs.js';

const LOOK_AGAIN_MS = 500;

/** Has one driver work on a job: the process with the lease on its row. A restarted process has the lease that it had. */
@Injectable()
export class RunJob extends EffectHandler<JobPayload> implements OnApplicationBootstrap {
  readonly effect = 'run-job';
  override readonly concurrency = 16;
  /** Items count their own attempts; the job goes on until it is over. */
  override readonly maxAttempts = Number.MAX_SAFE_INTEGER;
  private readonly handlers = new Map<string, JobHandler>();
  private readonly driven = new Set<string>();
  private readonly driver: string;

  constructor(
    private readonly log: TenantLog,
    private readonly rows: JobRows,
    private readonly jobs: Jobs,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly discovery: DiscoveryService,
    environment: Environment,
  ) {
    super();
    this.driver = ownerName('provisioning', environment.values);
  }

  onApplicationBootstrap(): void {
    for (const { instance } of this.discovery.getProviders()) {
      if (!(instance instanceof JobHandler)) continue;
      requirePermissions(instance.type);
      this.handlers.set(instance.type, instance);
    }
  }

  override async run({ payload, causationId, signal }: Effect<JobPayload>): Promise<void> {
    const { operationId, traceparent } = payload;
    // A second wake-up of the same job: the driver that there is may be about to end, so it is not enough to leave it to that one.
    if (this.driven.has(operationId)) throw new ComeBack(LOOK_AGAIN_MS);
    this.driven.add(operationId);
    try {
      await runWith({ traceparent }, () => this.drive(operationId, { causationId, traceparent }, signal));
    } finally {
      this.driven.delete(operationId);
    }
  }

  private async drive(operationId: string, cause: { causationId: string; traceparent?: string }, signal: AbortSignal): Promise<void> {
    const drive = await JobDrive.of(operationId, cause, {
      ...{ log: this.log, rows: this.rows, clock: this.clock, logger: this.logger, driver: this.driver },
      paramsOf: (id) => this.jobs.params(id),
      handlerOf: (type) => {
        const handler = this.handlers.get(type);
        if (!handler) throw new GiveUp(`nothing here does jobs of the type ${type}`);
        return handler;
      },
    });
    if (drive.idle) return;
    if (!(await this.rows.lease(operationId, this.driver))) throw new ComeBack(LOOK_AGAIN_MS);
    try {
      await drive.run(signal);
    } finally {
      await this.rows.release(operationId, this.driver);
    }
  }
}
