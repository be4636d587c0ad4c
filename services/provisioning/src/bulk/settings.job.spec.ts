import { describe, expect, it } from 'vitest';
import { settingsWaves } from './settings.job.js';

const items = [{ tenantId: 'a' }, { tenantId: 'b' }, { tenantId: 'c' }];
const wavesOf = (given: Parameters<typeof settingsWaves>[0]) => settingsWaves(given, items).items.map(({ wave }) => wave);

describe('the canary of a configuration', () => {
  it('is a wave before the others', () => {
    expect(wavesOf({ canary: ['b'] })).toEqual([1, 0, 1]);
    expect(wavesOf({})).toEqual([1, 1, 1]);
  });
  it('is waited for unless nobody wants to look', () => {
    expect(settingsWaves({ canary: ['b'] }, items).afterCanary).toBe('pause');
    expect(settingsWaves({ canary: ['b'], pauseAfterCanary: false }, items).afterCanary).toBe('pause-if-failed');
    expect(settingsWaves({}, items).afterCanary).toBeUndefined();
  });
  it('is among the tenants that it is for', () =>
    expect(() => wavesOf({ canary: ['a', 'x'] })).toThrow(
      expect.objectContaining({ errors: [expect.objectContaining({ field: 'params.canary.1' })] }),
    ));
});
