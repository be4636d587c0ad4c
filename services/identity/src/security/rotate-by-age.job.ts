import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Logger } from '@tenantry/observability/logger';
import { Environment } from '@tenantry/service/environment';
import { every } from '@tenantry/service/every';
import { KeyStore } from '../keys/key-store.js';
import { KeyRotation } from './key-rotation.js';

const EVERY_MS = 60_000;
/** In one round: many tenants that were made on one day don't come all at once. */
const AT_ONCE = 20;

/** Keys that have become old get a newer version, the platform's own too. Replicas that do it at once give the same command. */
@Injectable()
export class RotateByAge implements OnApplicationBootstrap, OnApplicationShutdown {
  private end?: () => Promise<void>;

  constructor(
    private readonly keys: KeyStore,
    private readonly rotation: KeyRotation,
    private readonly log: TenantLog,
    private readonly logger: Logger,
    private readonly environment: Environment,
  ) {}

  onApplicationBootstrap(): void {
    const { TENANTRY_ROLE: role, TENANTRY_KEY_ROTATION_DAYS: days } = this.environment.values;
    if (role === 'api' || days === 0) return;
    const failed = (error: unknown) => this.logger.warn({ err: error }, 'old keys could not be rotated; they are tried again later');
    this.end = every(EVERY_MS, () => this.rotateOlderThan(days), failed);
  }
  async onApplicationShutdown(): Promise<void> {
    await this.end?.();
  }

  async rotateOlderThan(days: number): Promise<void> {
    const old = await this.keys.olderThan(days, AT_ONCE);
    if (old.length === 0) return;
    const heads = await this.log.heads({ tenantIds: old.map(({ tenantId }) => tenantId) });
    const existing = new Set(heads.flatMap(({ tenantId, position }) => (position >= 0 ? [tenantId] : [])));
    const results = await Promise.allSettled(
      old.map(({ tenantId, keyVersion }) => {
        const id = derivedId('rotate-key', tenantId, keyVersion);
        // The keys of a registration that was refused have no log, and get none; they only cease to be the oldest.
        if (!existing.has(tenantId)) return this.keys.rotate(tenantId, id);
        return this.rotation.rotate(tenantId, 'age', { id, actor: { kind: 'service', id: 'identity' } });
      }),
    );
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    if (reasons.length === 0) return;
    const failed = old.filter((_, index) => results[index]?.status === 'rejected');
    // They must not hold up the others: the next round goes on with those behind them.
    await this.keys.putOff(failed);
    const named = failed.map(({ tenantId }) => tenantId).join(', ');
    throw new AggregateError(reasons, `${failed.length} of ${old.length} keys could not be rotated: of the tenants ${named}`);
  }
}
