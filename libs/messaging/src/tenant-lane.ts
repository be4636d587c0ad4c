import { type Calm, DirtyQueue, type Outcome } from './dirty-queue.js';
import { type Lane, type LaneHost, Turns, unexpected } from './lane.js';
import { TenantPass, type TenantPassParts, type TenantWork } from './tenant-pass.js';

export interface TenantLaneOptions {
  /** Tenants that are read at once. */
  batch: number;
  /** Tenants whose own schemas are written at once. */
  concurrency: number;
  /** At least this long from one pass over a tenant to its next, unless somebody waits for it. */
  tenantIntervalMs: number;
  /** From the first wake-up of a tenant to the pass over its own schema, where many have something to do: what follows goes along. */
  tenantDelayMs: number;
  /** While all that is due in the tenants' schemas is done at once, a tenant's first event is applied without that delay. */
  calm: Calm;
}

/** So long a tenant's pass has a slot; and so many may go on without one. */
const overtimeMs = 1_000;
const maxOvertime = 4;

/**
 * The rows in the tenants' schemas. Reading is for many at once; writing is one transaction per tenant, some at a time, so that a slow one
 * holds up nobody else.
 */
export function tenantLane(
  parts: TenantPassParts,
  { batch, concurrency, tenantIntervalMs, tenantDelayMs, calm }: TenantLaneOptions,
  host: LaneHost,
): Lane {
  const pass = new TenantPass(parts);
  const ready: TenantWork[] = [];
  let reading = false;
  let running = 0;
  let overtime = 0;
  // A tenant that takes long (its database is silent, or a rebuild) gives its slot away, so that others don't wait behind it.
  const holdSlot = () => {
    let held = true;
    running += 1;
    const timer = parts.scheduler.setTimeout(() => {
      if (overtime >= maxOvertime) return;
      held = false;
      running -= 1;
      overtime += 1;
      pump();
    }, overtimeMs);
    return () => {
      timer.cancel();
      if (held) running -= 1;
      else overtime -= 1;
    };
  };
  const read = async (tenantIds: string[]) => {
    const { work, outcomes } = await pass.read(tenantIds);
    ready.push(...work);
    const withWork = new Set(work.map(({ tenantId }) => tenantId));
    for (const tenantId of tenantIds) {
      if (!withWork.has(tenantId)) turns.settle(tenantId, outcomes.get(tenantId) ?? { next: 'again', delayMs: 1_000 });
    }
  };
  const write = (work: TenantWork) => {
    const free = holdSlot();
    host.track(
      pass
        .run(work)
        .catch((error: unknown) => unexpected(error, [work.tenantId], parts.logger).get(work.tenantId) as Outcome)
        .then((outcome) => {
          free();
          turns.settle(work.tenantId, outcome);
          pump();
        }),
    );
  };
  const pump = () => {
    if (host.isStopped()) return;
    while (running < concurrency && ready.length > 0) write(ready.shift() as TenantWork);
    if (reading || ready.length > 0) return;
    const tenantIds = turns.take(batch);
    if (tenantIds.length === 0) return turns.schedule();
    reading = true;
    host.track(
      read(tenantIds)
        .catch((error: unknown) => {
          for (const [tenantId, outcome] of unexpected(error, tenantIds, parts.logger)) turns.settle(tenantId, outcome);
        })
        .then(() => {
          reading = false;
          pump();
        }),
    );
  };
  const queue = new DirtyQueue(tenantDelayMs, tenantIntervalMs, calm);
  const turns = new Turns({ queue, scheduler: parts.scheduler, isStopped: host.isStopped, pump });
  return {
    consumer: parts.consumer,
    progress: pass.progress,
    turns,
    rebuild: (tenantId) => pass.rebuildNow(tenantId),
    forget: (tenantId) => pass.forget(tenantId),
  };
}
