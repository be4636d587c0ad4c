import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { bodyHash, canonicalJson, instantOf, leafHash, microseconds } from './hash.js';

describe('canonical JSON', () => {
  // Section 3.2.2 of the RFC; its first number, 333333333.33333329, is this one.
  it('is the example of RFC 8785', () => {
    const value = {
      numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 1e-27],
      string: '\u20ac$\u000f\nA\'B"\\\\"/',
      literals: [null, true, false],
    };
    expect(canonicalJson(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it('does not depend on the order of members, and leaves out what is undefined', () => {
    expect(canonicalJson({ b: 1, a: undefined, c: { e: 1, d: 2 } })).toBe(canonicalJson({ c: { d: 2, e: 1 }, b: 1 }));
  });

  it('refuses what JSON cannot hold', () => {
    expect(() => canonicalJson({ n: Number.NaN })).toThrow();
    expect(() => canonicalJson('\ud800')).toThrow();
    expect(() => canonicalJson(undefined)).toThrow();
  });
});

describe('hashes of an event', () => {
  const body = {
    tenantId: 't',
    stream: 's',
    id: 'i',
    context: 'tenant' as const,
    type: 'T',
    version: 1,
    data: { a: 1 },
    metadata: { commandId: 'c', actor: { kind: 'system' as const, id: 'x' } },
  };
  it('cover every part of the body, and nothing else', () => {
    const hash = bodyHash(body);
    expect(hash).toBe(
      createHash('sha256')
        .update(
          '{"context":"tenant","data":{"a":1},"id":"i","metadata":{"actor":{"id":"x","kind":"system"},"commandId":"c"},"stream":"s","tenantId":"t","type":"T","version":1}',
        )
        .digest('hex'),
    );
    expect(bodyHash({ ...body, position: 7, recordedAt: 'later' } as typeof body)).toBe(hash);
    const others = [
      { tenantId: 'u' },
      { stream: 'r' },
      { id: 'j' },
      { context: 'quota' as const },
      { type: 'U' },
      { version: 2 },
      { data: {} },
    ];
    for (const other of others) expect(bodyHash({ ...body, ...other })).not.toBe(hash);
  });

  it('put position, version and time into the leaf as 64-bit integers', () => {
    const bytes = Buffer.concat([
      Buffer.from('00', 'hex'),
      Buffer.from('0000000000000001', 'hex'),
      Buffer.from('0000000000000002', 'hex'),
      Buffer.from('0006436f9bb8b1c5', 'hex'),
      Buffer.alloc(32, 0xab),
    ]);
    const recordedAtUs = Number(0x0006436f9bb8b1c5n);
    expect(leafHash({ position: 1, streamVersion: 2, recordedAtUs, bodyHash: 'ab'.repeat(32) })).toBe(
      createHash('sha256').update(bytes).digest('hex'),
    );
  });
});

describe('instants', () => {
  it('have six digits, and turn back into the same microseconds', () => {
    expect(instantOf(1_767_225_600_000_001)).toBe('2026-01-01T00:00:00.000001Z');
    for (const us of [0, 999, 1_767_225_600_123_456, 4_102_444_799_999_999]) expect(microseconds(instantOf(us))).toBe(us);
  });
});
