import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import type { Principal } from '@tenantry/contracts/route';
import { describe, expect, it } from 'vitest';
import { newTokenKeys, TokenSigner, TokenVerifier } from './token.js';

const principal: Principal = { kind: 'api-key', id: 'k1', tenantId: 't1', permissions: ['quota:read'] };
const keys = newTokenKeys();
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

function setUp() {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const clock = () => now;
  return {
    signer: new TokenSigner(keys.privateKey, clock),
    verifier: new TokenVerifier(keys.publicKey, 'billing', clock),
    pass: (seconds: number) => (now += seconds * 1000),
    nowSeconds: () => Math.floor(now / 1000),
  };
}
const unauthenticated = expect.objectContaining({ code: 'auth.unauthenticated' });
const untimely = expect.objectContaining({ code: 'service.unavailable', retryAfterSeconds: 1 });
const failure = (run: () => unknown) => {
  try {
    return run();
  } catch (error) {
    return error;
  }
};

describe('a token', () => {
  it('says who calls, to the one service that it was made for', () => {
    const { signer, verifier, nowSeconds } = setUp();
    const claims = verifier.verify(signer.sign(principal, 'billing'));
    expect(claims).toEqual({ principal, aud: 'billing', iat: nowSeconds(), exp: nowSeconds() + 30 });
    expect(failure(() => verifier.verify(signer.sign(principal, 'audit')))).toEqual(unauthenticated);
  });

  it('ends after 30 s and the leeway of clocks, also where it was verified before', () => {
    const { signer, verifier, pass } = setUp();
    const token = signer.sign(principal, 'billing');
    verifier.verify(token);
    pass(34);
    verifier.verify(token);
    pass(1);
    expect(failure(() => verifier.verify(token))).toEqual(untimely);
  });

  it('is signed again when a third of its life is over', () => {
    const { signer, pass } = setUp();
    const token = signer.sign(principal, 'billing');
    expect(signer.sign({ ...principal }, 'billing')).toBe(token);
    expect(signer.sign({ ...principal, permissions: [] }, 'billing')).not.toBe(token);
    pass(10);
    expect(signer.sign(principal, 'billing')).not.toBe(token);
  });

  it('is signed again when the clock was set back', () => {
    const { signer, verifier, pass } = setUp();
    signer.sign(principal, 'billing');
    pass(-3_600);
    expect(verifier.verify(signer.sign(principal, 'billing'))).toMatchObject({ principal });
  });

  it('is refused when it was made by others, changed, or of another form', () => {
    const { signer, verifier, nowSeconds } = setUp();
    const token = signer.sign(principal, 'billing');
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const stranger = new TokenSigner(newTokenKeys().privateKey, () => nowSeconds() * 1000);
    const claims = { principal, aud: 'billing', iat: nowSeconds(), exp: nowSeconds() + 30 };
    const signed = (head: unknown, body: unknown) => {
      const text = `${encode(head)}.${encode(body)}`;
      return `${text}.${sign(null, Buffer.from(text), createPrivateKey(keys.privateKey)).toString('base64url')}`;
    };
    const refused = [
      '',
      'a.b',
      'a.b.c',
      stranger.sign(principal, 'billing'),
      `${header}.${encode({ ...claims, principal: { ...principal, kind: 'staff' } })}.${signature}`,
      `${header}.${payload}.`,
      `${header}.${payload}.${signature}.x`,
      signed({ alg: 'none', typ: 'JWT' }, claims),
      signed({ alg: 'EdDSA', typ: 'JWT' }, { ...claims, exp: nowSeconds() + 3600 }),
      signed({ alg: 'EdDSA', typ: 'JWT' }, { ...claims, exp: undefined }),
    ];
    for (const text of refused)
      expect(
        failure(() => verifier.verify(text)),
        text,
      ).toEqual(unauthenticated);
    const early = signed({ alg: 'EdDSA', typ: 'JWT' }, { ...claims, iat: nowSeconds() + 60, exp: nowSeconds() + 90 });
    expect(failure(() => verifier.verify(early))).toEqual(untimely);
    expect(verifier.verify(signed({ alg: 'EdDSA', typ: 'JWT' }, claims))).toEqual(claims);
  });

  it('needs Ed25519 keys', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    expect(() => new TokenVerifier(publicKey, 'billing')).toThrow('Ed25519');
    expect(() => new TokenSigner(privateKey)).toThrow('Ed25519');
  });
});
