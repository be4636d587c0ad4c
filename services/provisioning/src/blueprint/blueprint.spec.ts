import type { StoredEvent } from '@tenantry/contracts/events';
import { fold } from '@tenantry/event-store/aggregate';
import { describe, expect, it } from 'vitest';
import { type Blueprint, blueprint, change, isPublished, publish } from './blueprint.js';

const at = '2026-01-01T00:00:00.000Z';
const after = (state: Blueprint, decide: (state: Blueprint) => { type: string; data: unknown }[]): Blueprint =>
  fold(blueprint, decide(state) as unknown as StoredEvent[] as never, state);
const crm = { name: 'crm', supportsShared: true, status: 'active' as const, changedAt: at };
const version = (blueprintVersion: number, sha256 = `sha-${blueprintVersion}`) => ({
  name: 'crm',
  blueprintVersion,
  sql: 'x',
  sha256,
  publishedAt: at,
});
const registered = after(blueprint.initial, change(crm));
const published = after(registered, publish(version(1), 0));

describe('a blueprint', () => {
  it('is registered once, and changed only where something changes', () => {
    expect(change(crm)(blueprint.initial)).toEqual([{ type: 'BlueprintChanged', data: crm }]);
    expect(change({ ...crm, changedAt: 'later' })(registered)).toEqual([]);
    expect(change({ ...crm, status: 'retired' })(published)).toHaveLength(1);
  });
  it('is for shared tenants or not from its first version on', () => {
    expect(change({ ...crm, supportsShared: false })(registered)).toHaveLength(1);
    expect(() => change({ ...crm, supportsShared: false })(published)).toThrow('settled with its first version');
  });
  it('keeps its versions when it is retired', () => {
    expect(after(published, change({ ...crm, status: 'retired' }))).toMatchObject({ latest: 1, hashes: { 1: 'sha-1' }, status: 'retired' });
  });
});

describe('a version', () => {
  it('needs a blueprint', () => expect(() => publish(version(1), 0)(blueprint.initial)).toThrow('no such blueprint'));
  it('is published once', () => {
    expect(publish(version(1), 0)(registered)).toEqual([{ type: 'BlueprintVersionPublished', data: version(1) }]);
    expect(publish(version(1), 0)(published)).toEqual([]);
    expect(isPublished(published, 1, 'sha-1')).toBe(true);
  });
  it('never changes, and never comes before one that is there', () => {
    expect(() => isPublished(published, 1, 'other')).toThrow('has other SQL');
    expect(() => isPublished(after(registered, publish(version(5), 0)), 4, 'sha-4')).toThrow('Versions go up');
    expect(isPublished(published, 3, 'sha-3')).toBe(false);
  });
  it('is refused where another came between: it was tried out on what was there before', () => {
    expect(() => publish(version(3), 1)(after(published, publish(version(2), 1)))).toThrow('published meanwhile');
  });
});
