import { describe, expect, it } from 'vitest';
import { eventually } from './eventually.js';

describe('eventually', () => {
  it('answers what the probe answers as soon as it is something', async () => {
    const answers = [undefined, null, false, 0];
    expect(await eventually(() => answers.shift(), { intervalMs: 1 })).toBe(0);
  });

  it('goes on after an error', async () => {
    let attempts = 0;
    const probe = () => {
      if (++attempts < 3) throw new Error('not yet');
      return attempts;
    };
    expect(await eventually(probe, { intervalMs: 1 })).toBe(3);
  });

  it('says what it waited for, how long, and how the last attempt ended', async () => {
    const probe = () => {
      throw new Error('connection refused');
    };
    await expect(eventually(probe, { timeoutMs: 20, intervalMs: 5, what: 'the gateway' })).rejects.toThrow(
      /Waited 20 ms \(\d+ attempts\) for the gateway; at the last attempt: connection refused/,
    );
  });
});
