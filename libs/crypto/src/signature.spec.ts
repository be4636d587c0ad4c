import { describe, expect, it } from 'vitest';
import { newSigningKey, signatureFault, signDetached, signedText } from './signature.js';

const key = newSigningKey();
const other = newSigningKey();
const as = ({ jwk, privateKey }: typeof key) => ({ kid: jwk.kid, privateKey });
const document = { b: 1, a: ['ü', null], at: '2026-05-01T00:00:00Z' };
const text = signedText(document);

describe('a signed document', () => {
  it('holds whatever the order of its members', () => {
    const signature = signDetached(as(key), 'report', text);
    expect(signedText({ at: document.at, a: document.a, b: 1 })).toBe(text);
    expect(signatureFault(signature, 'report', text, [other.jwk, key.jwk])).toBeNull();
  });

  it('does not hold with a change, as another kind, with another key or in another form', () => {
    const signature = signDetached(as(key), 'report', text);
    const keys = [key.jwk];
    expect(signatureFault(signature, 'report', signedText({ ...document, b: 2 }), keys)).toContain('not the one');
    expect(signatureFault(signature, 'certificate', text, keys)).toContain('kind certificate');
    expect(signatureFault(signature, 'report', text, [other.jwk])).toContain('not among');
    expect(signatureFault(signature, 'report', text, [{ ...other.jwk, kid: key.jwk.kid }])).toContain('not the one');
    const [header, , value] = signature.split('.');
    const none = Buffer.from(JSON.stringify({ alg: 'none', kid: key.jwk.kid, typ: 'tenantry-report' })).toString('base64url');
    expect(signatureFault(`${none}..${value}`, 'report', text, keys)).toContain('Ed25519');
    expect(signatureFault(`${header}.e30.${value}`, 'report', text, keys)).toContain('detached');
    for (const broken of ['', 'x', '..', `!..${value}`, `${header}..`, `${header}..x`])
      expect(signatureFault(broken, 'report', text, keys), broken).not.toBeNull();
  });

  it('has a key of its own name', () => {
    expect(key.jwk.kid).not.toBe(other.jwk.kid);
    expect(key.jwk).not.toHaveProperty('d');
  });
});
