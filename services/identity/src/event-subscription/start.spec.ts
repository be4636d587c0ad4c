import { newId } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import { initialize, security } from '../security/security.js';
import { platform } from '../testing/platform.js';
import { startOf } from './start.js';

const { store, log } = platform();
const now = '2100-01-01T00:00:00.000Z';
/** A tenant with one event. */
const tenant = async () => {
  const tenantId = newId();
  const command = { id: newId(), actor: { kind: 'service' as const, id: 'test' } };
  const { events } = await log.transact(security, { tenant: tenantId, command }, initialize({ securityLevel: 'basic', keyVersion: 1 }));
  return { tenantId, recordedAt: events[0]?.recordedAt as string };
};
const at = (from: Parameters<typeof startOf>[1], tenants: 'all' | string[] = 'all') => startOf(store, from, tenants, now);
const positions = (of: Record<string, number>, tenants: 'all' | string[] = 'all') => at({ positions: of }, tenants);

describe('a start', () => {
  it('is the oldest, now, or an instant in UTC', async () => {
    expect(await at('first')).toEqual({ from: 'first', startsAt: null });
    expect(await at('new')).toEqual({ from: 'new', startsAt: { all: now } });
    const time = '2026-01-01T00:00:00.000Z';
    expect(await at({ time: '2026-01-01T01:00:00+01:00' })).toEqual({ from: { time }, startsAt: { all: time } });
  });
  it('at a position is the time of that event, and now for the next one', async () => {
    const [a, b] = [await tenant(), await tenant()];
    expect((await positions({ [a.tenantId]: 0, [b.tenantId]: 1 }, [a.tenantId, b.tenantId])).startsAt).toEqual({
      [a.tenantId]: a.recordedAt,
      [b.tenantId]: now,
    });
    expect((await positions({ [a.tenantId]: 0, [b.tenantId]: 1 })).startsAt).toEqual({ all: a.recordedAt });
  });
  it('names every fault', async () => {
    const [a, b] = [await tenant(), await tenant()];
    const faults = async (work: Promise<unknown>) =>
      work.then(
        () => [],
        ({ errors }) => errors.map(({ field, rule }: { field: string; rule: string }) => [field.replace('from.positions.', ''), rule]),
      );
    expect(await faults(at({ time: '2100-01-01T00:00:00.001Z' }))).toEqual([['from.time', 'past']]);
    expect(await faults(positions({}))).toEqual([['from.positions', 'required']]);
    expect(await faults(positions({ [b.tenantId]: 0 }, [a.tenantId]))).toEqual([
      [b.tenantId, 'unknown'],
      [a.tenantId, 'required'],
    ]);
    const nobody = newId();
    expect(await faults(positions({ [a.tenantId]: 2, [nobody]: 0 }))).toEqual([
      [a.tenantId, 'max'],
      [nobody, 'not_found'],
    ]);
  });
});
