import type { EventDefinition, StoredEvent } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { EventCatalogue } from '../upcast.js';
import { command, type OpenStore, wholeLog } from './given.js';

/** What was written by earlier releases is read as today's. */
export function eventVersions(open: OpenStore): void {
  describe('versions of events', () => {
    const definition: EventDefinition = {
      version: 3,
      summary: 'A thing was named',
      data: z.object({ name: z.object({ full: z.string() }) }),
      upcasters: { 1: ({ title }) => ({ name: title }), 2: ({ name }) => ({ name: { full: name } }) },
    };
    const catalogue: EventCatalogue = new Map([['ThingNamed', definition]]);

    it("come back as today's", async () => {
      const store = await open({ catalogue });
      const tenantId = newId();
      const events = [
        { type: 'ThingNamed', version: 1, data: { title: 'a' } },
        { type: 'ThingNamed', version: 2, data: { name: 'b' } },
        { type: 'ThingNamed', version: 3, data: { name: { full: 'c' } } },
      ];
      await store.append(command(tenantId, { commandId: 'c', events }));
      const expected = ['a', 'b', 'c'].map((full) => ({ version: 3, data: { name: { full } } }));
      const today = (found: StoredEvent[]) => found.map(({ version, data }) => ({ version, data }));
      expect(today(await wholeLog(store, tenantId))).toEqual(expected);
      expect(today((await store.readStream(tenantId, 'thing')).events)).toEqual(expected);
      expect(today((await store.append(command(tenantId, { commandId: 'c' }))).events)).toEqual(expected);
    });

    it('that are unknown, or newer than today, come back as they are', async () => {
      const store = await open({ catalogue });
      const tenantId = newId();
      const events = [
        { type: 'NobodyKnowsThis', version: 9, data: { title: 'a' } },
        { type: 'ThingNamed', version: 4, data: { later: true } },
      ];
      await store.append(command(tenantId, { events }));
      expect(await wholeLog(store, tenantId)).toMatchObject(events);
    });
  });
}
