import { eventTypes } from '@tenantry/contracts/catalogue';
import type { StoredEvent } from '@tenantry/contracts/events';
import { eventFixtures } from '@tenantry/testing/event-fixtures';
import { describe, expect, it } from 'vitest';
import { upcast } from './upcast.js';

const written = [...eventTypes].flatMap(([type, { version }]) =>
  Array.from({ length: version }, (_, before) => [type, before + 1] as const),
);

describe('events of every release', () => {
  it.each(written)('%s of version %i has a fixture (libs/testing/src/event-fixtures)', (type, version) =>
    expect(eventFixtures.filter((fixture) => fixture.type === type && fixture.version === version)).not.toEqual([]),
  );
  it.each(eventFixtures.map((fixture, index) => [fixture.type, fixture.version, index] as const))(
    '%s of version %i is upcast to what is written today',
    (type, version, index) => {
      const { data } = eventFixtures[index] as (typeof eventFixtures)[number];
      const now = upcast({ type, version, data } as unknown as StoredEvent);
      const definition = eventTypes.get(type);
      expect(now.version).toBe(definition?.version);
      // Nothing that was written is lost, and nothing is there that nobody reads.
      expect(definition?.data.parse(now.data)).toEqual(now.data);
    },
  );
});
