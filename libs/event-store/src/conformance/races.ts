import { DomainError } from '@tenantry/contracts/errors';
import { event, events } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { aggregate } from '../aggregate.js';
import { DefaultTenantLog } from '../tenant-log-default.js';
import { codeOf, command, type OpenStore, positions, upTo, wholeLog } from './given.js';

const stepEvents = events('tenant', {
  StepTaken: event({ version: 1, summary: 'A step was taken', data: z.object({ n: z.number() }) }),
});
const steps = aggregate({ stream: 'steps', events: stepEvents, initial: 0, evolve: (count) => count + 1 });

/** Several processes on the same logs. */
export function races(open: OpenStore): void {
  describe('several processes', () => {
    it('have one winner per version of a stream', async () => {
      const stores = await Promise.all(upTo(4).map(() => open()));
      const tenantId = newId();
      for (let version = -1; version < 9; version++) {
        const results = await Promise.allSettled(stores.map((store) => store.append(command(tenantId, { expectedVersion: version }))));
        expect(results.map(codeOf).sort()).toEqual(['done', 'log.conflict', 'log.conflict', 'log.conflict']);
      }
      expect(positions(await wholeLog(stores[0]!, tenantId))).toEqual(upTo(10));
    });

    it('do not disturb each other on different streams of one log', async () => {
      const stores = await Promise.all(upTo(4).map(() => open()));
      const tenantId = newId();
      const results = await Promise.all(
        stores.map(async (store, n) => {
          const own: number[] = [];
          for (let version = -1; version < 14; version++) {
            const { events } = await store.append(command(tenantId, { stream: `s${n}`, expectedVersion: version }));
            own.push(...positions(events));
          }
          return own;
        }),
      );
      expect(results.flat().sort((a, b) => a - b)).toEqual(upTo(60));
      for (const own of results) expect(own).toEqual([...own].sort((a, b) => a - b));
    });

    it('begin the same logs together, whatever their order', async () => {
      const stores = await Promise.all(upTo(3).map(() => open()));
      const tenants = upTo(15).map(newId);
      const orders = [tenants, [...tenants].reverse(), [...tenants].sort()];
      await Promise.all(
        stores.flatMap((store, n) => (orders[n] as string[]).map((tenantId) => store.append(command(tenantId, { stream: `s${n}` })))),
      );
      const heads = await stores[0]!.heads({ tenantIds: tenants });
      expect(heads.map(({ position }) => position)).toEqual(tenants.map(() => 2));
    });

    it('append whole commands: their events lie side by side', async () => {
      const stores = await Promise.all(upTo(3).map(() => open()));
      const tenantId = newId();
      const results = await Promise.all(
        upTo(60).map((n) => stores[n % 3]!.append(command(tenantId, { stream: `s${n}`, events: upTo((n % 4) + 1).map(() => ({})) }))),
      );
      for (const { events } of results) expect(positions(events)).toEqual(events.map((_, k) => (events[0]?.position ?? 0) + k));
      expect(results.flatMap(({ events }) => positions(events)).sort((a, b) => a - b)).toEqual(upTo(150));
    });

    it('give readers a log whose times and contexts hold together at every moment', async () => {
      const stores = await Promise.all(upTo(2).map(() => open()));
      const tenantId = newId();
      let writing = true;
      const writers = Promise.all(
        stores.map(async (store, n) => {
          for (let version = -1; version < 39; version += 2) {
            const context = version % 4 === 1 ? 'quota' : 'tenant';
            await store.append(
              command(tenantId, { stream: `s${n}`, expectedVersion: version, events: [{ context }, { context: 'tenant' }] }),
            );
          }
        }),
      ).finally(() => {
        writing = false;
      });
      const reader = await open();
      const check = async () => {
        const log = await wholeLog(reader, tenantId, { limit: 7 });
        const last = new Map<string, number>();
        log.forEach((event, n) => {
          expect(event.position).toBe(n);
          if (n > 0) expect(event.recordedAt > (log[n - 1]?.recordedAt ?? '')).toBe(true);
          expect(event.previousInContext).toBe(last.get(event.context) ?? null);
          last.set(event.context, n);
        });
        return log.length;
      };
      while (writing) await check();
      await writers;
      await expect.poll(check).toBe(80);
    });

    it('decide on one hot stream so that nobody acts on what was not so', async () => {
      const logs = await Promise.all(upTo(3).map(async () => new DefaultTenantLog(await open(), new MemoryKeyring())));
      const tenant = newId();
      const take = (count: number) => {
        if (count >= 50) throw new DomainError('tenant.not_ready');
        return [{ type: 'StepTaken' as const, data: { n: count } }];
      };
      const results = await Promise.allSettled(
        upTo(60).map((n) =>
          logs[n % 3]!.transact(steps, { tenant, command: { id: newId(), actor: { kind: 'system', id: 'test' } } }, take),
        ),
      );
      expect(results.map(codeOf).filter((code) => code === 'tenant.not_ready')).toHaveLength(10);
      const { events } = await logs[0]!.load(steps, { tenant });
      expect(events.map(({ data }) => (data as { n: number }).n)).toEqual(upTo(50));
    });
  });

  describe('after a start', () => {
    it('a log goes on where it was: positions, times, contexts', async () => {
      const tenantId = newId();
      for (let n = 0; n < 4; n++) {
        const store = await open();
        await store.append(command(tenantId, { expectedVersion: n * 2 - 1, events: [{}, { context: 'quota' }] }));
      }
      const log = await wholeLog(await open(), tenantId);
      expect(positions(log)).toEqual(upTo(8));
      expect(log.map(({ previousInContext }) => previousInContext)).toEqual([null, null, 0, 1, 2, 3, 4, 5]);
      expect(log.map(({ recordedAt }) => recordedAt)).toEqual(log.map(({ recordedAt }) => recordedAt).sort());
      expect(new Set(log.map(({ recordedAt }) => recordedAt)).size).toBe(8);
    });

    it('what was appended is read as it was answered', async () => {
      const tenantId = newId();
      const store = await open();
      const { events } = await store.append(command(tenantId, { events: [{ context: 'billing' }, {}, { context: 'billing' }] }));
      expect(await wholeLog(store, tenantId)).toEqual(events);
      expect(await wholeLog(await open(), tenantId)).toEqual(events);
    });
  });
}
