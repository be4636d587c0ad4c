import type { StoredEvent } from '@tenantry/contracts/events';
import { fold } from '@tenantry/event-store/aggregate';
import { describe, expect, it } from 'vitest';
import { type Config, change, config, followPlan, initialize, type SettingRecord, type StoredSetting } from './config.js';
import { planSettings } from './initial-settings.js';
import { MASKED, settingFor } from './setting-input.js';

type Decide = (state: Config) => { type: string; data: unknown }[];
let second = 0;
const by = (kind: 'staff' | 'service', state: Config, decide: Decide): Config =>
  fold(
    config,
    decide(state).map((event) => ({
      ...event,
      recordedAt: `2026-01-01T00:00:${String(second++ % 60).padStart(2, '0')}.000000Z`,
      metadata: { actor: { kind, id: 'x' } },
    })) as unknown as StoredEvent[] as never,
    state,
  );
const basic = planSettings({ securityLevel: 'basic', retentionDays: 30 });
const first = () => by('service', config.initial, initialize(basic, {}));
const text = (key: string, value: unknown, over: Partial<Omit<SettingRecord, 'value'>> = {}) => ({
  ...{ key, value: JSON.stringify(value), type: 'string' as const, category: 'general' as const, encrypted: false },
  ...over,
});
const seen = (state: Config, key: string) => {
  const stored = state.settings[key] as StoredSetting;
  return { stored, value: stored.value as string };
};

describe('a setting', () => {
  it('that is new is recorded without a before', () =>
    expect(change(text('motto', 'hi'), null)(first())).toEqual([{ type: 'SettingChanged', data: text('motto', 'hi') }]));
  it('that changes is recorded with what it was', () => {
    const state = by('staff', first(), change(text('motto', 'hi'), null));
    const [event] = change(text('motto', 'bye'), seen(state, 'motto'))(state);
    const { key: _, ...before } = text('motto', 'hi');
    expect(event).toEqual({ type: 'SettingChanged', data: { ...text('motto', 'bye'), before } });
  });
  it('that is so already records nothing; one that became secret does', () => {
    const state = by('staff', first(), change(text('motto', 'hi'), null));
    expect(change(text('motto', 'hi'), seen(state, 'motto'))(state)).toEqual([]);
    expect(change(text('motto', 'hi', { encrypted: true }), seen(state, 'motto'))(state)).toHaveLength(1);
  });
  it('that somebody changed since it was looked at is recorded again', () => {
    const state = by('staff', first(), change(text('motto', 'hi'), null));
    const old = seen(state, 'motto');
    const since = by('staff', state, change(text('motto', 'bye'), old));
    expect(change(text('motto', 'hi'), old)(since)).toHaveLength(1);
  });
  it('waits for the first settings', () => expect(() => change(text('motto', 'hi'), null)(config.initial)).toThrow(/provisioning/));
  it('is refused where a tenant has too many, or too much', () => {
    let state = first();
    for (let n = Object.keys(state.settings).length; n < 1_000; n++) state = by('staff', state, change(text(`k${n}`, ''), null));
    expect(() => change(text('more', ''), null)(state)).toThrow(/1000/);
    let long = first();
    for (let n = 0; n < 18; n++) long = by('staff', long, change(text(`k${n}`, 'x'.repeat(16_000)), null));
    expect(() => change(text('more', 'x'.repeat(16_000)), null)(long)).toThrow(/together/);
  });
});

describe('another plan', () => {
  const advanced = planSettings({ securityLevel: 'advanced', retentionDays: 365 });
  const seenOf = (state: Config) => Object.fromEntries(Object.keys(state.settings).map((key) => [key, seen(state, key)]));
  const values = (state: Config) =>
    Object.fromEntries(Object.values(state.settings).map(({ key, value }) => [key, JSON.parse(value as string)]));
  it('brings its settings, but for those that somebody chose', () => {
    const chosen = by('staff', first(), change(text('retention_days', 7, { type: 'number', category: 'limits' }), null));
    const state = by('service', chosen, followPlan(advanced, seenOf(chosen)));
    expect(values(state)).toEqual({ security_level: 'advanced', session_timeout_minutes: 120, retention_days: 7 });
    expect(followPlan(advanced, seenOf(state))(state)).toEqual([]);
  });
  it('is followed again after it was followed', () => {
    const up = by('service', first(), followPlan(advanced, seenOf(first())));
    const down = by('service', up, followPlan(basic, seenOf(up)));
    expect(values(down)).toEqual(values(first()));
  });
});

describe('what is asked for', () => {
  const stored = { ...text('motto', 'hi', { category: 'billing', encrypted: true }), updatedAt: '', chosen: true };
  it('takes the type of its value where none is given', () => {
    expect(settingFor('motto', { value: 'x' }, null)).toEqual(text('motto', 'x'));
    expect(settingFor('limit', { value: 5 }, null)).toMatchObject({ type: 'number', value: '5' });
    expect(settingFor('list', { value: [1] }, null)).toMatchObject({ type: 'json' });
    expect(settingFor('text', { value: 'x', type: 'json' }, null)).toMatchObject({ type: 'json', value: '"x"' });
  });
  it('keeps what it does not name', () =>
    expect(settingFor('motto', { value: 'x' }, stored)).toMatchObject({ category: 'billing', encrypted: true }));
  it.each([
    ['motto', { value: 5 }, stored, 'value'],
    ['limit', { value: '5', type: 'number' as const }, null, 'value'],
    ['motto', { value: MASKED }, stored, 'value'],
    ['motto', { value: 'x'.repeat(16_384) }, null, 'value'],
    ['security_level', { value: 'paranoid' }, null, 'value'],
    ['security_level', { value: 'basic', type: 'json' as const }, null, 'type'],
    ['security_level', { value: 'basic', category: 'billing' as const }, null, 'category'],
    ['security_level', { value: 'basic', encrypted: true }, null, 'encrypted'],
    ['usage_alert_percents', { value: [80, 'x'] }, null, 'value.1'],
    ['timezone', { value: 'Mars/Olympus' }, null, 'value'],
  ])('%s %j is refused, naming the field', (key, given, before, field) => {
    expect(() => settingFor(key, given, before as StoredSetting | null)).toThrow(
      expect.objectContaining({ errors: [expect.objectContaining({ field })] }),
    );
  });
});
