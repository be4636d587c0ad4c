import { describe, expect, it } from 'vitest';
import { given } from './configuration.fixture.js';
import { MASKED } from './setting-input.js';

describe('sensitive settings', () => {
  it('are in clear for whoever asks for that and may have it', async () => {
    const { set, get, list, as } = await given();
    await set('smtp.password', 'hunter2', { encrypted: true });
    expect((await get('smtp.password')).body.value).toBe(MASKED);
    expect((await get('smtp.password', { reveal: 'true' })).body.value).toBe('hunter2');
    expect((await list({ reveal: 'true' })).body.items).toContainEqual(expect.objectContaining({ value: 'hunter2' }));
    const reader = as('reader', ['settings:*', 'personal:read']);
    await expect(reader.get('smtp.password', { reveal: 'true' })).rejects.toMatchObject({ code: 'auth.forbidden' });
  });
  it('are listed by category', async () => {
    const { list } = await given();
    const { body } = await list({ category: 'security' });
    expect(body.items.map(({ key }: any) => key).sort()).toEqual(['security_level', 'session_timeout_minutes']);
  });
  it('and others can be removed, but for those that the system reads', async () => {
    const { remove, get, types } = await given();
    expect((await remove('motto')).body).toEqual({ key: 'motto', removed: true });
    expect((await remove('motto')).body).toEqual({ key: 'motto', removed: false });
    await expect(get('motto')).rejects.toMatchObject({ code: 'settings.not_found' });
    await expect(remove('security_level')).rejects.toMatchObject({ code: 'request.invalid' });
    expect((await types()).filter((type) => type === 'SettingRemoved')).toHaveLength(1);
  });
});

describe('versions of the configuration', () => {
  it('are one for each request that changed something, newest first', async () => {
    const { set, feature, update, versions, diff } = await given();
    await set('motto', 'second');
    await set('motto', 'second');
    await set('timezone', 'Asia/Tokyo');
    await update({ name: 'Not a setting' });
    await feature('beta', { enabled: false });
    const all = await versions();
    expect(all.map(({ version }) => version)).toEqual([4, 3, 2, 1]);
    expect(all.slice(0, 3).map(({ changes }) => changes)).toEqual([
      [
        { path: 'features.beta.enabled', from: null, to: false },
        { path: 'features.beta.percentage', from: null, to: 100 },
      ],
      [{ path: 'settings.timezone', from: 'UTC', to: 'Asia/Tokyo' }],
      [{ path: 'settings.motto', from: 'first', to: 'second' }],
    ]);
    expect(all.map(({ actor }) => actor.id)).toEqual(['ada', 'ada', 'ada', 'test']);
    expect((await diff(1, 3)).map(({ path }) => path).sort()).toEqual(['settings.motto', 'settings.timezone']);
    await expect(diff(1, 9)).rejects.toMatchObject({ code: 'config_version.not_found' });
    expect((await versions({ limit: 2, cursor: '4' })).map(({ version }) => version)).toEqual([3, 2]);
  });

  it('can be gone back to, as a version more', async () => {
    const { set, get, remove, feature, features, rollBack, versions, diff, put } = await given();
    await set('api.token', 'one', { encrypted: true });
    await feature('beta', { enabled: true, percentage: 10 });
    await put({ settings: { motto: 'second', extra: 1, timezone: 'Asia/Tokyo' } });
    await set('api.token', 'two');
    await feature('beta', { enabled: false });
    await feature('gamma', { enabled: true });
    await remove('motto');
    const { body } = await rollBack(3);
    expect(body.version).toBe((await versions())[0].version);
    expect(await diff(3, body.version)).toEqual([]);
    expect((await get('motto')).body.value).toBe('first');
    expect((await get('timezone')).body.value).toBe('UTC');
    expect((await get('api.token', { reveal: 'true' })).body.value).toBe('one');
    await expect(get('extra')).rejects.toMatchObject({ code: 'settings.not_found' });
    expect((await features()).find(({ flag }) => flag === 'beta')).toMatchObject({ enabled: true, percentage: 10 });
    expect((await features()).find(({ flag }) => flag === 'gamma')).toBeUndefined();
    const count = (await versions()).length;
    await rollBack(3);
    expect(await versions()).toHaveLength(count);
  });
});

describe('the configuration as a whole', () => {
  it('is taken as it is read, and changes what differs', async () => {
    const { set, whole, put, types, get } = await given();
    await set('api.token', 'one', { encrypted: true, category: 'security' });
    const { body } = await whole();
    expect(body).toMatchObject({
      security: { 'api.token': MASKED, security_level: 'basic' },
      settings: { motto: 'first' },
      features: { beta: true },
    });
    const before = (await types()).length;
    expect((await put(body)).body).toEqual(body);
    expect(await types()).toHaveLength(before);
    const after = await put({
      ...body,
      name: 'Acme Two',
      security: { ...body.security, session_timeout_minutes: 5, mfa: true },
      settings: { ...body.settings, motto: null, locale: 'de-DE' },
      features: { beta: false },
    });
    expect(after.body).toMatchObject({ name: 'Acme Two', security: { session_timeout_minutes: 5, mfa: true }, features: { beta: false } });
    expect(after.body.settings).toMatchObject({ locale: 'de-DE' });
    expect(after.body.settings).not.toHaveProperty('motto');
    expect((await get('api.token', { reveal: 'true' })).body.value).toBe('one');
  });
  it.each([
    [{ region: 'mars' }, 'region'],
    [{ isolation: 'shared' }, 'isolation'],
    [{ quotas: { users: 1 } }, 'quotas.users'],
    [{ plan: 'business', tier: 'enterprise' }, 'tier'],
    [{ security: { session_timeout_minutes: 'long' } }, 'security.session_timeout_minutes'],
    [{ settings: { timezone: 'Mars/Olympus' } }, 'settings.timezone'],
    [{ settings: { security_level: null } }, 'key'],
  ])('%j is refused, naming the field', async (body, field) => {
    const { put } = await given();
    await expect(put(body)).rejects.toMatchObject({ errors: [expect.objectContaining({ field })] });
  });
  it('needs the permissions of its parts', async () => {
    const { as } = await given();
    await expect(as('x', ['settings:update']).put({ features: { beta: false }, plan: 'business' })).rejects.toMatchObject({
      errors: [{ field: 'features' }, { field: 'plan' }],
    });
  });
  it('can be looked at before: nothing is saved', async () => {
    const { previewConfig, types } = await given();
    const before = await types();
    const { changes, impacts } = await previewConfig({ settings: { motto: 'second' }, features: { beta: false } });
    expect(changes).toContainEqual({ path: 'settings.motto', from: 'first', to: 'second' });
    expect(changes).toContainEqual({ path: 'featureOverrides.beta.enabled', from: null, to: false });
    expect(impacts).toEqual([]);
    expect(await types()).toEqual(before);
  });
});

describe('the preview of another plan', () => {
  it('says what it costs, brings and takes', async () => {
    const { preview, update, types } = await given({ used: { users: 20 } });
    const up = await preview({ plan: 'business', name: 'Acme Two' });
    expect(up.changes).toEqual(
      expect.arrayContaining([
        { path: 'name', from: 'Acme', to: 'Acme Two' },
        { path: 'plan.id', from: 'free', to: 'business' },
        { path: 'settings.security_level', from: 'basic', to: 'advanced' },
      ]),
    );
    expect(up.impacts).toContainEqual({ kind: 'price', detail: 'A month costs 799.00 USD instead of 0.00 USD.' });
    expect(up.impacts).toContainEqual({ kind: 'feature_gained', detail: 'custom_domains is part of the plan business.' });
    expect(await types()).not.toContain('TenantPlanChanged');
    await update({ plan: 'business' });
    const down = await preview({ plan: 'free' });
    expect(down.impacts.map(({ kind }: any) => kind)).toEqual(expect.arrayContaining(['price', 'feature_lost', 'retention', 'security']));
  });
});

describe('feature flags', () => {
  it('come from the plan until they are set', async () => {
    const { features, feature, resetFeature, update, isOn } = await given();
    expect(await features()).toEqual([expect.objectContaining({ flag: 'beta', enabled: true, source: 'override' })]);
    await update({ plan: 'business' });
    expect((await features()).find(({ flag }) => flag === 'custom_domains')).toMatchObject({ enabled: true, source: 'plan', at: null });
    await feature('custom_domains', { enabled: false });
    expect(await isOn('custom_domains')).toBe(false);
    expect((await resetFeature('custom_domains')).body).toMatchObject({ enabled: true, source: 'plan' });
    expect(await isOn('custom_domains')).toBe(true);
    expect(await isOn('nobody.knows')).toBe(false);
  });

  it('can be scheduled, and hold from that instant on', async () => {
    const { feature, features, isOn, clock, resetFeature } = await given();
    const at = '2026-01-01T00:10:00.000Z';
    const { body } = await feature('launch', { enabled: true, percentage: 100, at });
    expect(body).toMatchObject({ enabled: false, at, scheduled: { enabled: true, percentage: 100 } });
    clock.advance(599_999);
    expect(await isOn('launch')).toBe(false);
    clock.advance(1);
    expect(await isOn('launch')).toBe(true);
    expect((await features()).find(({ flag }) => flag === 'launch')).toMatchObject({ enabled: true, at: null, scheduled: null });
    await feature('other', { enabled: true, at: '2026-01-02T00:00:00Z' });
    expect((await resetFeature('other')).body).toMatchObject({ enabled: false, at: null });
  });
});
