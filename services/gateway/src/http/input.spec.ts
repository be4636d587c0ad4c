import { describe, expect, it } from 'vitest';
import { normalized } from './input.js';

describe('the parameters of a path', () => {
  const id = '6F1D3C52-7C0E-4C0A-9D5E-1F5A8F3C2B77';

  it('are compared in lower case where they are ids, and kept where they are names', () => {
    expect(normalized({ tenantId: id, key: id })).toEqual({ tenantId: id.toLowerCase(), key: id });
  });
});
