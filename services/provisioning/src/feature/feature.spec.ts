import { fold } from '@tenantry/event-store/aggregate';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { config } from '../config/config.js';
import { drawOf, featureOf, isOn, keepSchedules, setFeature } from './feature.js';

const now = '2026-01-01T00:00:00.000Z';
const granted = { features: {}, plan: { features: [] } };
const at = (percentage: number) =>
  featureOf(granted, { ...config.initial, initialized: true, features: { flag: { enabled: true, percentage } } }, 'flag', now);

describe('a percentage', () => {
  it('gives a subject the same answer always, and keeps whoever is in when it grows', () =>
    fc.assert(
      fc.property(
        fc.uuid(),
        fc.string(),
        fc.float({ min: 0, max: 100, noNaN: true }),
        fc.float({ min: 0, max: 100, noNaN: true }),
        (tenant, subject, a, b) => {
          const [low, high] = [Math.min(a, b), Math.max(a, b)];
          expect(isOn(at(low), tenant, subject)).toBe(isOn(at(low), tenant, subject));
          if (isOn(at(low), tenant, subject)) expect(isOn(at(high), tenant, subject)).toBe(true);
          expect(isOn(at(0), tenant, subject)).toBe(false);
          expect(isOn(at(100), tenant, subject)).toBe(true);
        },
      ),
    ));
  it('is the share of subjects that are in', () => {
    const count = 20_000;
    const share = Array.from({ length: count }, (_, n) => isOn(at(25), 'tenant', `user-${n}`)).filter(Boolean).length / count;
    expect(share).toBeGreaterThan(0.24);
    expect(share).toBeLessThan(0.26);
  });
  it('draws anew for each flag and tenant', () =>
    expect(new Set([drawOf('t', 'a', 's'), drawOf('t', 'b', 's'), drawOf('u', 'a', 's'), drawOf('ta', '', 's')]).size).toBe(4));
});

describe('a schedule', () => {
  const soon = '2026-01-01T01:00:00.000Z';
  const state = { ...config.initial, initialized: true };
  const scheduled = { ...state, schedules: { flag: { enabled: true, percentage: 50, at: soon } } };
  it('that has come already is a change', () =>
    expect(setFeature('flag', { enabled: true, percentage: 50, at: now }, now)(state)).toEqual([
      { type: 'FeatureChanged', data: { flag: 'flag', enabled: true, percentage: 50 } },
    ]));
  it('that is there already is none', () => {
    expect(setFeature('flag', { enabled: true, percentage: 50, at: soon }, now)(scheduled)).toEqual([]);
    expect(setFeature('flag', { enabled: true, percentage: 60, at: soon }, now)(scheduled)).toMatchObject([
      { type: 'FeatureScheduled', data: { before: { percentage: 50 } } },
    ]);
  });
  it('is put on record once it has come', () => {
    expect(keepSchedules(now)(scheduled)).toEqual([]);
    expect(keepSchedules(soon)(scheduled)).toEqual([
      { type: 'FeatureChanged', data: { flag: 'flag', enabled: true, percentage: 50, scheduledAt: soon } },
    ]);
  });
  it('that has come gives way to what is set after it, also before it is on record', () => {
    const off = setFeature('flag', { enabled: false, percentage: 100, at: null }, soon)(scheduled);
    expect(off).toEqual([
      { type: 'FeatureChanged', data: { flag: 'flag', enabled: true, percentage: 50, scheduledAt: soon } },
      { type: 'FeatureChanged', data: { flag: 'flag', enabled: false, percentage: 100, before: { enabled: true, percentage: 50 } } },
    ]);
    const after = fold(config, off.map((event) => ({ ...event, recordedAt: soon })) as never, scheduled);
    expect(featureOf(granted, after, 'flag', soon)).toMatchObject({ enabled: false, at: null });
    expect(keepSchedules(soon)(after)).toEqual([]);
  });
  it('waits for the first configuration', () =>
    expect(() => setFeature('flag', { enabled: true, percentage: 50, at: null }, now)(config.initial)).toThrow(/provisioning/));
});
