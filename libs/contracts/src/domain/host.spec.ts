import { describe, expect, it } from 'vitest';
import { DomainError } from '../errors.js';
import { type HostInput, normalizeHost, unicodeHost } from './host.js';

const base = 'tenantry.localhost';
const normalize = (input: HostInput) => normalizeHost(input, base);
const refusal = (input: HostInput, of = base) => {
  try {
    normalizeHost(input, of);
  } catch (error) {
    if (error instanceof DomainError) return `${error.code} ${error.errors[0]?.field} ${error.errors[0]?.rule}`;
    throw error;
  }
  return 'accepted';
};

describe('a subdomain of the platform', () => {
  it.each([
    ['acme', 'acme'],
    ['ACME', 'acme'],
    ['acme.tenantry.localhost', 'acme'],
    ['Acme.Tenantry.Localhost.', 'acme'],
    ['123', '123'],
    ['ab--cd', 'ab--cd'],
    ['bücher', 'xn--bcher-kva'],
    ['xn--bcher-kva', 'xn--bcher-kva'],
    ['Bu\u0308cher', 'xn--bcher-kva'],
    ['中文shop', 'xn--shop-zf5fy05j'],
    ['acme。tenantry.localhost', 'acme'],
  ])('%s is %s below the base domain', (input, label) => {
    expect(normalize(input)).toEqual({ type: 'subdomain', host: `${label}.${base}`, ssl: true });
  });

  it('keeps the wish not to have a certificate', () => {
    expect(normalize({ value: 'acme', ssl: false }).ssl).toBe(false);
    expect(normalize({ type: 'subdomain', value: 'acme' }).type).toBe('subdomain');
  });

  it.each([
    ['www', 'reserved'],
    ['API', 'reserved'],
    ['admin.tenantry.localhost', 'reserved'],
    ['tenantry.localhost', 'reserved'],
    ['a.b.tenantry.localhost', 'one_label'],
    ['-acme', 'label'],
    ['acme-', 'label'],
    ['ac_me', 'label'],
    ['*', 'label'],
    ['a'.repeat(64), 'label'],
    ['xn--0', 'punycode'],
    ['pаypal', 'mixed_scripts'],
    ['αcme', 'mixed_scripts'],
    ['аррӏе', 'confusable'],
    ['😀', 'label'],
    ['a b', 'host_name'],
    ['a/../b', 'host_name'],
    ['.', 'length'],
  ])('%s is refused: %s', (input, rule) => {
    expect(refusal(input)).toBe(`domain.invalid domain ${rule}`);
  });
});

describe('a custom host', () => {
  it.each([
    ['shop.acme.example', 'shop.acme.example'],
    ['SHOP.Acme.COM.', 'shop.acme.com'],
    ['straße.de', 'xn--strae-oqa.de'],
    ['пример.рф', 'xn--e1afmkfd.xn--p1ai'],
    ['nottenantry.localhost', 'nottenantry.localhost'],
  ])('%s is %s', (input, host) => {
    expect(normalize(input)).toEqual({ type: 'custom', host, ssl: true });
  });

  it.each([
    ['10.0.0.1', 'ip_address'],
    ['0x7f.1', 'ip_address'],
    ['::1', 'host_name'],
    ['https://acme.com', 'host_name'],
    ['acme.com:443', 'host_name'],
    ['acme..com', 'label'],
    ['acme.123', 'host_name'],
    ['co.uk', 'public_suffix'],
    ['github.io', 'public_suffix'],
    ['printer.local', 'not_routable'],
    ['раypal.com', 'mixed_scripts'],
    [`${'a.'.repeat(126)}com`, 'length'],
  ])('%s is refused: %s', (input, rule) => {
    expect(refusal(input)).toBe(`domain.invalid domain ${rule}`);
  });

  it("is not one of the platform's own names", () => {
    expect(refusal('example.com', 'apps.example.com')).toBe('domain.invalid domain reserved');
    expect(refusal('x.localhost', 'apps.example.com')).toBe('domain.invalid domain not_routable');
  });
});

it('is refused where the wish contradicts the name, by the field that was written', () => {
  expect(refusal({ type: 'custom', value: 'acme' })).toBe('domain.invalid domain.value type');
  expect(refusal({ type: 'subdomain', value: 'acme.com' })).toBe('domain.invalid domain.value type');
});

it('is shown to people in their own letters', () => {
  expect(unicodeHost('xn--bcher-kva.example')).toBe('bücher.example');
});
