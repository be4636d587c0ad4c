import { newId } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import type { AppendCommand } from '../port.js';
import { codeOf, command, type OpenStore, positions, wholeLog, withCode } from './given.js';

const lastId = ({ events }: AppendCommand) => events.at(-1)?.id as string;

/** A command that was decided on what another one was about to append. */
export function chains(open: OpenStore): void {
  describe('a command that expects a certain event', () => {
    it('is appended after that event', async () => {
      const store = await open();
      const tenantId = newId();
      const first = command(tenantId, { events: [{}, {}] });
      await store.append(first);
      await store.append({ ...command(tenantId, { expectedVersion: 1 }), expectedEventId: lastId(first) });
      expect(positions(await wholeLog(store, tenantId))).toEqual([0, 1, 2]);
    });

    it('is refused after another event at the same version', async () => {
      const store = await open();
      const tenantId = newId();
      const first = command(tenantId, { events: [{}, {}] });
      await store.append(first);
      for (const expectedEventId of [newId(), first.events[0]?.id as string]) {
        await expect(store.append({ ...command(tenantId, { expectedVersion: 1 }), expectedEventId })).rejects.toEqual(
          withCode('log.conflict'),
        );
      }
      await expect(
        store.append({ ...command(tenantId, { expectedVersion: 0 }), expectedEventId: first.events[0]?.id as string }),
      ).rejects.toEqual(withCode('log.conflict'));
    });

    it('is appended together with the one that brings it', async () => {
      const store = await open();
      const tenantId = newId();
      const first = command(tenantId, { events: [{}, {}] });
      const second = { ...command(tenantId, { expectedVersion: 1 }), expectedEventId: lastId(first) };
      const third = { ...command(tenantId, { expectedVersion: 2 }), expectedEventId: lastId(second) };
      const elsewhere = command(tenantId, { stream: 'other' });
      const results = await Promise.all([first, second, elsewhere, third].map((given) => store.append(given)));
      expect(results.map(({ events }) => events.map(({ stream, streamVersion }) => `${stream} ${streamVersion}`))).toEqual([
        ['thing 0', 'thing 1'],
        ['thing 2'],
        ['other 0'],
        ['thing 3'],
      ]);
    });

    it('is refused together with the one that was to bring it', async () => {
      const store = await open();
      const tenantId = newId();
      await store.append(command(tenantId));
      const first = command(tenantId);
      const second = { ...command(tenantId, { expectedVersion: 0 }), expectedEventId: lastId(first) };
      const third = { ...command(tenantId, { expectedVersion: 1 }), expectedEventId: lastId(second) };
      const results = await Promise.allSettled([first, second, third].map((given) => store.append(given)));
      expect(results.map(codeOf)).toEqual(['log.conflict', 'log.conflict', 'log.conflict']);
      expect(await wholeLog(store, tenantId)).toHaveLength(1);
    });

    it('is refused where another process came first with as many events', async () => {
      const [store, other] = [await open(), await open()];
      const tenantId = newId();
      const first = command(tenantId);
      await other.append(command(tenantId));
      const second = { ...command(tenantId, { expectedVersion: 0 }), expectedEventId: lastId(first) };
      const results = await Promise.allSettled([first, second].map((given) => store.append(given)));
      expect(results.map(codeOf)).toEqual(['log.conflict', 'log.conflict']);
    });

    it('gets its first result when it comes again', async () => {
      const store = await open();
      const tenantId = newId();
      const first = command(tenantId);
      const second = { ...command(tenantId, { expectedVersion: 0 }), expectedEventId: lastId(first) };
      await store.append(first);
      const { events } = await store.append(second);
      expect(await store.append(second)).toEqual({ outcome: 'repeated', events });
      expect(await store.append({ ...second, expectedEventId: newId() })).toEqual({ outcome: 'repeated', events });
    });
  });
}
