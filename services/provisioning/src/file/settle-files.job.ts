import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Logger } from '@tenantry/observability/logger';
import { Environment } from '@tenantry/service/environment';
import { every } from '@tenantry/service/every';
import { FileWrites } from './file-writes.js';
import { TenantFiles } from './tenant-files.js';

const EVERY_MS = 5_000;
/** Whoever is at a change says so more often. */
const LEFT_MS = 45_000;
const BATCH = 50;

/** Settles changes of files whose process died. */
@Injectable()
export class SettleFiles implements OnApplicationBootstrap, OnApplicationShutdown {
  private end?: () => Promise<void>;
  constructor(
    private readonly writes: FileWrites,
    private readonly files: TenantFiles,
    private readonly logger: Logger,
    private readonly environment: Environment,
  ) {}

  onApplicationBootstrap(): void {
    if (this.environment.values.TENANTRY_ROLE === 'api') return;
    this.end = every(
      EVERY_MS,
      () => this.sweep(LEFT_MS),
      (error) => this.logger.warn({ err: error }, 'changes of files could not be settled; the next round tries again'),
    );
  }
  async onApplicationShutdown(): Promise<void> {
    await this.end?.();
  }

  /** One that can't be settled keeps none of the others back. */
  async sweep(silentMs: number): Promise<void> {
    const settled = await Promise.allSettled((await this.writes.left(silentMs, BATCH)).map((write) => this.files.settleLeft(write)));
    const failed = settled.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }
}
