import { newSigningKey, signDetached, signedText } from '@tenantry/crypto/signature';
import { describe, expect, it } from 'vitest';
import { readCertificate } from './certificate.js';

const key = newSigningKey();
const keys = JSON.stringify({ keys: [key.jwk] });
const statement = {
  tenantId: '6b1f3c52-7c0e-4c0a-9d5e-1f5a8f3c2b77',
  operationId: '6b1f3c52-7c0e-4c0a-9d5e-1f5a8f3c2b78',
  erasedAt: '2026-03-01T10:00:00.000Z',
  stores: [{ name: 'keys', method: 'keys_destroyed', checkedAt: '2026-03-01T10:00:00.000Z', found: 0 }],
  export: { location: 'exports/a/b', manifestSha256: 'ab', expiresAt: '2026-03-31T10:00:00.000Z' },
};
const signed = (of: object) =>
  JSON.stringify({
    ...of,
    keyId: key.jwk.kid,
    signature: signDetached({ kid: key.jwk.kid, privateKey: key.privateKey }, 'erasure-certificate', signedText(of)),
  });

describe('an erasure certificate', () => {
  it('is read offline with the public keys', () => {
    expect(readCertificate(signed(statement), keys)).toMatchObject({ tenantId: statement.tenantId, keyId: key.jwk.kid });
  });
  it('holds with members of later versions, whatever their order', () => {
    expect(readCertificate(signed({ later: 1, ...statement }), keys).erasedAt).toBe(statement.erasedAt);
  });
  it('proves nothing when it was changed, is signed by others, or says that something was left', () => {
    expect(() => readCertificate(signed(statement).replace('2026-03-01T10:00:00.000Z', '2026-03-02T10:00:00.000Z'), keys)).toThrow(
      'does not hold',
    );
    expect(() => readCertificate(signed(statement), JSON.stringify({ keys: [newSigningKey().jwk] }))).toThrow('not among');
    const left = { ...statement, stores: [{ ...statement.stores[0], found: 2 }] };
    expect(() => readCertificate(signed(left), keys)).toThrow('left in: keys');
    expect(() => readCertificate('{}', keys)).toThrow('no erasure certificate');
    expect(() => readCertificate('nonsense', keys)).toThrow('not JSON');
    expect(() => readCertificate(signed(statement), '[]')).toThrow('public keys');
  });
});
