import { limitInUnits } from '@tenantry/contracts/quota/limits';
import { CreateTenantBody } from '@tenantry/contracts/tenant/bodies';
import { describe, expect, it } from 'vitest';
import { draft } from './registration.js';
import { slugCandidates } from './slug.js';

describe('a draft', () => {
  it('needs a name only', () => {
    expect(draft({ name: ' Acme ' })).toMatchObject({
      name: 'Acme',
      plan: { id: 'free', trialDays: 0 },
      isolation: 'dedicated',
      timezone: 'UTC',
      locale: 'en-US',
      language: 'en',
      currency: 'USD',
      activation: 'automatic',
    });
  });
  it('has its reseller by the id that the reseller has, however the request writes it', () => {
    const parentId = '3f0c6d1e-8a57-4c1e-9f0b-2f1f5c9d7a11';
    expect(draft(CreateTenantBody.parse({ name: 'Acme', parentId: parentId.toUpperCase() }))).toMatchObject({ parentId });
  });
  it('takes the nested form', () => {
    const body = CreateTenantBody.parse({
      name: 'Shop',
      domain: { type: 'subdomain', value: 'shop', ssl: true },
      plan: { id: 'business', trial: true, duration: 30 },
      configuration: { theme: 'dark', language: 'de', timezone: 'Europe/Berlin', currency: 'EUR' },
      resources: { storage: 50, bandwidth: 100, users: 20 },
    });
    expect(draft(body)).toMatchObject({
      plan: { id: 'business', trialDays: 30 },
      theme: 'dark',
      language: 'de',
      timezone: 'Europe/Berlin',
      currency: 'EUR',
      limits: { storage: 50_000_000_000, bandwidth: 100_000_000_000, users: 20 },
    });
  });
  it('takes settings as they are set later: typed, in their category, regional ones as fields', () => {
    const named = draft({
      name: 'A',
      settings: { session_timeout_minutes: 30, motto: 'hi', timezone: 'Asia/Tokyo', theme: 'dark' },
      security: { ips: ['10.0.0.0/8'] },
      theme: 'light',
    });
    expect(named).toMatchObject({ timezone: 'Asia/Tokyo', theme: 'light' });
    expect(named.settings).toEqual([
      { key: 'session_timeout_minutes', value: '30', type: 'number', category: 'security' },
      { key: 'motto', value: '"hi"', type: 'string', category: 'general' },
      { key: 'ips', value: '["10.0.0.0/8"]', type: 'json', category: 'security' },
    ]);
  });
  it.each([
    [{ security: { session_timeout_minutes: 'soon' } }, 'security.session_timeout_minutes'],
    [{ settings: { timezone: 'Mars/Olympus' } }, 'settings.timezone'],
    [{ settings: { security_level: 'paranoid' } }, 'settings.security_level'],
    [{ notifications: { usage_alert_percents: [80, 0] } }, 'notifications.usage_alert_percents.1'],
    [{ settings: { motto: 'x'.repeat(20_000) } }, 'settings.motto'],
  ])('refuses the settings %j, naming the field', (body, field) => {
    expect(() => draft({ name: 'A', ...body })).toThrow(expect.objectContaining({ errors: [expect.objectContaining({ field })] }));
  });
  it('says of a setting what it must be', () => {
    const body = { name: 'A', security: { session_timeout_minutes: 0 } };
    expect(() => draft(body)).toThrow(
      expect.objectContaining({ errors: [expect.objectContaining({ rule: 'min', message: 'must be at least 1' })] }),
    );
  });
  it('takes plan aliases', () => {
    expect(draft({ name: 'A', plan: 'pro' }).plan).toEqual({ id: 'professional', trialDays: 0 });
    expect(draft({ name: 'A', plan: { id: 'starter', trial: true } }).plan).toEqual({ id: 'free', trialDays: 14 });
  });
  it.each([
    ['storage', 1, 1_000_000_000],
    ['storage', '50 GB', 50_000_000_000],
    ['storage', '1.5TB', 1_500_000_000_000],
    ['storage', { value: 2, unit: 'MB' as const }, 2_000_000],
    ['users', 7, 7],
    ['users', null, null],
  ])('a limit of %s %j is %s', (resource, input, units) => expect(limitInUnits('limits', resource, input)).toBe(units));
  it.each([
    ['unicorns', 1, /must be one of/],
    ['users', '5 GB', /without a unit/],
    ['users', 1.5, /whole number/],
    ['storage', '9999999 PB', /2\^53/],
  ])('a limit of %s %j is refused', (resource, input, why) => expect(() => limitInUnits('limits', resource, input)).toThrow(why));
});

describe('slugs made from a name', () => {
  const id = '0a1b2c3d-4e5f-5a7b-8c9d-0e1f2a3b4c5d';
  it('are URL-safe', () => expect(slugCandidates('Ärger & Söhne GmbH', id)[0]).toBe('aerger-and-soehne-gmb-h'.replace('gmb-h', 'gmbh')));
  it('get a suffix, the last one unique', () => expect(slugCandidates('Acme', id)).toEqual(['acme', 'acme-2', 'acme-0a1b2c3d4e']));
  it('have at most 50 characters', () => {
    for (const slug of slugCandidates('x'.repeat(200), id)) expect(slug.length).toBeLessThanOrEqual(50);
  });
  it('fall back on the id where the name has no letters', () =>
    expect(slugCandidates('株', id).every((slug) => /^[a-z0-9-]{2,50}$/.test(slug))).toBe(true));
});
