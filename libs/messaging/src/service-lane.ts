import { DirtyQueue } from './dirty-queue.js';
import { type Lane, type LaneHost, Turns, unexpected } from './lane.js';
import { ServicePass, type ServicePassParts } from './service-pass.js';

export interface ServiceLaneOptions {
  /** Tenants of one pass. */
  batch: number;
  /** At least this long from one pass over a tenant to its next, unless somebody waits for it. */
  serviceIntervalMs: number;
  /** From the start of one pass over the service's own rows to the next: tenants that become dirty one after the other go together. */
  serviceGapMs: number;
}

/** The service's own rows. One pass at a time: what becomes dirty meanwhile is the next batch. */
export function serviceLane(parts: ServicePassParts, { batch, serviceIntervalMs, serviceGapMs }: ServiceLaneOptions, host: LaneHost): Lane {
  const pass = new ServicePass(parts);
  let running = false;
  const pump = () => {
    const nowMs = parts.scheduler.nowMs();
    if (running || host.isStopped()) return;
    if (nowMs < turns.notBeforeMs) return turns.schedule();
    const tenantIds = turns.take(batch);
    if (tenantIds.length === 0) return turns.schedule();
    running = true;
    turns.notBeforeMs = tenantIds.length === batch ? nowMs : nowMs + serviceGapMs;
    host.track(
      pass
        .run(tenantIds)
        .catch((error: unknown) => unexpected(error, tenantIds, parts.logger))
        .then((outcomes) => {
          running = false;
          for (const tenantId of tenantIds) turns.settle(tenantId, outcomes.get(tenantId) ?? { next: 'again', delayMs: 1_000 });
          pump();
        }),
    );
  };
  const turns = new Turns({ queue: new DirtyQueue(0, serviceIntervalMs), scheduler: parts.scheduler, isStopped: host.isStopped, pump });
  return {
    consumer: parts.consumer,
    progress: pass.progress,
    turns,
    rebuild: (tenantId) => pass.rebuildNow(tenantId, 'requested'),
    forget: (tenantId) => pass.progress.forget(tenantId),
  };
}
