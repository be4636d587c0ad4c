import type { StoredEvent } from '@tenantry/contracts/events';
import { fold } from '@tenantry/event-store/aggregate';
import { describe, expect, it } from 'vitest';
import { cancel, end, goesOn, type Job, job, pause, request, resume, retryFailed } from './job.js';

const NOW = '2026-01-01T00:00:00.000Z';
const actor = { kind: 'staff', id: 'key-1' };
type Decide = (state: Job) => { type: string; data: unknown }[];
const after = (...decisions: Decide[]) =>
  decisions.reduce<Job>(
    (state, decide) =>
      fold(
        job,
        decide(state).map((event) => ({ ...event, recordedAt: NOW, metadata: { actor } }) as unknown as StoredEvent) as never,
        state,
      ),
    job.initial,
  );
const requested = request({
  ...{ operationId: 'o', type: 'suspend', total: 3, concurrency: 2 },
  ...{ stopAfterFailures: null, afterCanary: 'go-on' as const },
});
const counts = (failed: number) => ({ total: 3, pending: 0, succeeded: 3 - failed, failed, quarantined: 0, skipped: 0 });
const paused = pause('manual', undefined, NOW);

describe('work over many tenants', () => {
  it('is done in the name of who asked for it', () => {
    expect(after(requested)).toMatchObject({ actor, requestedAt: NOW, round: 0 });
    expect(goesOn(after(requested))).toBe(true);
    expect(requested(after(requested))).toEqual([]);
  });

  it('begins nothing while it is paused, and goes on afterwards', () => {
    expect(goesOn(after(requested, paused))).toBe(false);
    expect(paused(after(requested, paused))).toEqual([]);
    const resumed = after(requested, paused, resume(2, undefined, NOW));
    expect(goesOn(resumed)).toBe(true);
    expect(resumed.failedBefore).toBe(2);
    expect(resume(2, undefined, NOW)(resumed)).toEqual([]);
  });

  it('pauses after its canary once', () => {
    const canary = after(requested, pause('canary', undefined, NOW));
    expect(canary.pausedAfterCanary).toBe(true);
    expect(after(requested, pause('canary', undefined, NOW), resume(0, undefined, NOW)).pausedAfterCanary).toBe(true);
    expect(after(requested, paused).pausedAfterCanary).toBe(false);
  });

  it('ends as its items did', () => {
    expect(after(requested, end(counts(0), NOW)).ended?.outcome).toBe('succeeded');
    expect(after(requested, end(counts(1), NOW)).ended?.outcome).toBe('failed');
    expect(after(requested, cancel(undefined, NOW), end(counts(1), NOW)).ended?.outcome).toBe('cancelled');
  });

  it('tries its failed items again when it is over, or paused', () => {
    const retry = retryFailed(undefined, NOW);
    const again = after(requested, end(counts(1), NOW), retry);
    expect(again).toMatchObject({ round: 1, ended: null, paused: null });
    expect(goesOn(after(requested, paused, retry))).toBe(true);
    for (const state of [
      after(requested),
      after(requested, end(counts(0), NOW)),
      after(requested, cancel(undefined, NOW), end(counts(1), NOW)),
    ])
      expect(() => retry(state)).toThrow(expect.objectContaining({ code: 'operation.not_retriable' }));
  });

  it('refuses what comes too late', () => {
    const over = after(requested, end(counts(0), NOW));
    expect(() => paused(over)).toThrow(expect.objectContaining({ code: 'operation.not_pausable' }));
    expect(() => resume(0, undefined, NOW)(over)).toThrow(expect.objectContaining({ code: 'operation.not_resumable' }));
    expect(() => cancel(undefined, NOW)(over)).toThrow(expect.objectContaining({ code: 'operation.not_cancellable' }));
    expect(() => paused(job.initial)).toThrow(expect.objectContaining({ code: 'operation.not_found' }));
  });
});
