import { newId } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import { RewrapKeys, rewrapItems } from './rewrap-keys.job.js';

const item = (ordinal: number) => ({ ordinal, ...rewrapItems()[ordinal], wave: 0, retries: 0, attempt: 1 }) as never;

/** Identity answers with these batches, one after the other. */
function given(...batches: { unopened: { id: string; version: number }[]; isLast: boolean }[]) {
  const asked: unknown[] = [];
  const rpc = {
    call: async (_operation: unknown, input: unknown) => {
      const from = { id: `end of batch ${asked.length}`, version: 1 };
      return { rewrapped: 1, from, ...batches[asked.push(input) - 1] };
    },
  };
  const job = new RewrapKeys(rpc as never);
  return { asked, run: (ordinal: number) => job.run(item(ordinal), { params: { to: 'master' } } as never, new AbortController().signal) };
}

describe('a part of the keys that is wrapped anew', () => {
  it('has succeeded when every key of every batch is', async () => {
    const { asked, run } = given({ unopened: [], isLast: false }, { unopened: [], isLast: true });
    expect(await run(3)).toEqual({ status: 'succeeded' });
    expect(asked).toEqual([
      { to: 'master', portion: 3, from: null },
      { to: 'master', portion: 3, from: { id: 'end of batch 0', version: 1 } },
    ]);
  });

  it('goes to its end past keys that are not opened, and then says which they are', async () => {
    const ids = Array.from({ length: 23 }, () => ({ id: newId(), version: 2 }));
    const { asked, run } = given({ unopened: ids.slice(0, 15), isLast: false }, { unopened: ids.slice(15), isLast: true });
    const outcome = await run(0);
    expect(asked).toHaveLength(2);
    expect(outcome).toMatchObject({ status: 'failed', why: { code: 'keys.not_opened' } });
    const { detail } = (outcome as { why: { detail: string } }).why;
    expect(detail).toContain('All keys but 23');
    for (const [index, { id }] of ids.entries()) expect(detail.includes(`tenant ${id} version 2`)).toBe(index < 20);
    expect(detail).toContain('and 3 more');
  });

  it('names keys that documents are signed with as such', async () => {
    const { asked, run } = given({ unopened: [{ id: 'kid-1', version: 0 }], isLast: true });
    expect(await run(16)).toMatchObject({ why: { detail: expect.stringContaining('signing key kid-1.') } });
    expect(asked).toEqual([{ to: 'master', portion: null, from: null }]);
  });
});
