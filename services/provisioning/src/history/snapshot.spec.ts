import { eventTypes } from '@tenantry/contracts/catalogue';
import type { StoredEvent } from '@tenantry/contracts/events';
import type { Aggregate } from '@tenantry/event-store/aggregate';
import { upcast } from '@tenantry/event-store/upcast';
import { eventFixtures } from '@tenantry/testing/event-fixtures';
import { describe, expect, it } from 'vitest';
import { config } from '../config/config.js';
import { operation } from '../operation/operation.js';
import { placement } from '../placement/placement.js';
import { tenant } from '../tenant/tenant.js';
import { changesBetween, pathText } from './changes.js';
import { documentOf } from './document.js';
import { after, nothing, snapshotTypes } from './snapshot.js';

const stored = eventFixtures.map(({ type, version, data }, position) =>
  upcast({
    ...{ type, version, data, position, stream: 'x', streamVersion: position, recordedAt: '2026-01-01T00:00:00.000000Z' },
    ...{ context: eventTypes.get(type)?.context, metadata: { commandId: 'c', actor: { kind: 'staff', id: 's' } } },
  } as unknown as StoredEvent),
);
const registered = after(nothing, stored[0] as StoredEvent);

describe('an event of any release', () => {
  it.each(stored.map((event) => [event.type, event] as const))(
    '%s folds into a snapshot, from nothing and from a tenant',
    (_type, event) => {
      for (const before of [nothing, registered]) {
        const now = after(before, event);
        expect(now.position).toBe(event.position);
        for (const { path } of changesBetween(documentOf(before), documentOf(now))) expect(pathText(path)).not.toMatch(/undefined|^$/);
      }
    },
  );
  it('folds into the aggregates of this service, one after the other', () => {
    for (const of of [tenant, config, operation, placement] as unknown as Aggregate<unknown>[])
      expect(() => stored.reduce((state, event) => of.evolve(state, event as never), of.initial)).not.toThrow();
  });
  it('that is not known changes nothing', () => {
    const unknown = { ...(stored[0] as StoredEvent), type: 'constructor', position: 9 };
    expect(after(registered, unknown)).toEqual({ ...registered, position: 9 });
  });
});

it('every type that changes what is shown is known to the catalogue', () =>
  expect(snapshotTypes.filter((type) => !eventTypes.has(type))).toEqual([]));

it('a path is read back unambiguously', () => {
  expect(pathText(['plan', 'id'])).toBe('plan.id');
  expect(pathText(['settings', 'smtp.host'])).toBe('settings["smtp.host"]');
  expect(pathText(['domains', 'a.example', 'ssl'])).toBe('domains["a.example"].ssl');
});
