import type pg from 'pg';
import { expect } from 'vitest';
import { type System, startSystem } from '../harness/system.js';
import { adminPool, checkEverything } from './checks.js';
import { type Random, seeded } from './random.js';
import { Subscriber } from './subscriber.js';
import { Workload, type WorkloadOptions } from './workload.js';

export interface Trial {
  system: System;
  random: Random;
  workload: Workload;
  subscriber: Subscriber;
  /** A superuser on the control plane. */
  admin: pg.Pool;
  /** Adds to the line that says how the trial ended. */
  note(text: string): void;
}

export interface TrialOptions {
  env?: Record<string, string>;
  tenants?: number;
  load?: Partial<Omit<WorkloadOptions, 'random' | 'api'>>;
  /** The fault takes history back: positions are given a second time. */
  rewrites?: boolean;
  /** Until everything is as it should be again. */
  healsWithinMs?: number;
  start?: (env: Record<string, string>) => Promise<System>;
}

/** A system of its own under load, a fault meanwhile, and the checks that follow every fault. Prints one line of what was seen. */
export async function trial(name: string, options: TrialOptions, fault: (trial: Trial) => Promise<void>): Promise<void> {
  const random = seeded(name);
  const begunMs = performance.now();
  const system = await (options.start ?? startSystem)(options.env ?? {});
  const workload = new Workload({ random: random.of('load'), api: system.api, ...options.load });
  const run = await system.run();
  const subscriber = new Subscriber(run);
  const admin = adminPool(run.postgresUrl);
  const notes: string[] = [];
  let code: number | null;
  try {
    await subscriber.start();
    await workload.create(options.tenants ?? 6);
    const meanwhile = fault({ system, random: random.of('fault'), workload, subscriber, admin, note: (text) => notes.push(text) });
    await Promise.all([workload.run(), meanwhile]);
    const healingMs = performance.now();
    const checked = await checkEverything(system, admin, {
      sent: workload.sent,
      subscriber,
      rewritten: options.rewrites,
      timeoutMs: options.healsWithinMs ?? 120_000,
    });
    const acknowledged = workload.sent.filter((sent) => sent.acknowledged);
    const waited = acknowledged.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
    const ms = (share: number) => Math.round(waited[Math.floor(share * (waited.length - 1))] ?? 0);
    const attempts = workload.sent.reduce((sum, sent) => sum + sent.attempts, 0);
    console.log(
      [
        `${name}: ${acknowledged.length} of ${workload.sent.length} commands acknowledged in ${attempts} attempts, p50 ${ms(0.5)} ms, longest ${ms(1)} ms`,
        `${checked.tenants} tenants, ${checked.events} events, ${checked.rows} rows in ${checked.tables} tables equal to their replay`,
        `subscriber ${subscriber.deliveries} deliveries, ${subscriber.restarts} new starts`,
        `checks ${Math.round((performance.now() - healingMs) / 1000)} s of ${Math.round((performance.now() - begunMs) / 1000)} s`,
        ...(workload.refusals.size > 0 ? [`refusals ${JSON.stringify(Object.fromEntries(workload.refusals))}`] : []),
        ...notes,
      ].join('; '),
    );
  } catch (error) {
    console.log(
      `${name} has failed: ${error instanceof Error ? error.message : error}\nWhat the launcher said last:\n${system.output().slice(-6_000)}`,
    );
    throw error;
  } finally {
    workload.stop();
    await subscriber.stop();
    await admin.end();
    code = await system.stop();
  }
  expect(code, 'the launcher’s exit code').toBe(0);
}
