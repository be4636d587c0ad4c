import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Logger } from '@tenantry/observability/logger';
import { Environment } from '@tenantry/service/environment';
import { every } from '@tenantry/service/every';
import { job } from './job.js';
import { JobRows, rowsKeptDays } from './job-rows.js';

const EVERY_MS = 3_600_000;
const BATCH = 20;

/** The items of jobs that are long over are removed, and rows for which the job never came. How a job ended, the log keeps. */
@Injectable()
export class ForgetJobs implements OnApplicationBootstrap, OnApplicationShutdown {
  private end?: () => Promise<void>;
  constructor(
    private readonly log: TenantLog,
    private readonly rows: JobRows,
    private readonly logger: Logger,
    private readonly environment: Environment,
  ) {}

  onApplicationBootstrap(): void {
    if (this.environment.values.TENANTRY_ROLE === 'api') return;
    const failed = (error: unknown) =>
      this.logger.warn({ err: error }, 'items of old jobs could not be removed; the next round tries again');
    this.end = every(EVERY_MS, () => this.sweep(), failed);
  }
  async onApplicationShutdown(): Promise<void> {
    await this.end?.();
  }

  async sweep(olderThanDays = rowsKeptDays): Promise<void> {
    let page: { id: string; createdAt: string }[] = [];
    do {
      page = await this.rows.olderThan(olderThanDays, page.at(-1) ?? null, BATCH);
      const over = await Promise.all(page.map(async ({ id }) => ((await this.isOver(id)) ? [id] : [])));
      if (over.flat().length > 0) await this.rows.remove(over.flat());
    } while (page.length === BATCH);
  }

  private async isOver(id: string): Promise<boolean> {
    const { state } = await this.log.load(job, { tenant: PLATFORM_LOG, stream: `operation-${id}` });
    return state.requested === null || state.ended !== null;
  }
}
