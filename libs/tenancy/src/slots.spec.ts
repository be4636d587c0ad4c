import { DomainError } from '@tenantry/contracts/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Slots } from './slots.js';

const A = 'a';
const B = 'b';
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('the slots of a tenant', () => {
  it('are no more than there are, and are handed on in the order of asking', async () => {
    const slots = new Slots({ inUse: 2, waiting: 10, waitMs: 1_000 });
    const order: number[] = [];
    const ask = async (n: number) => {
      const giveBack = await slots.take(A);
      order.push(n);
      return giveBack;
    };
    const held = [ask(0), ask(1), ask(2), ask(3)];
    await turn();
    expect(order).toEqual([0, 1]);
    expect(slots.standing()).toEqual({ tenants: 1, inUse: 2, waiting: 2, refused: 0 });
    (await held[0])?.();
    await turn();
    expect(order).toEqual([0, 1, 2]);
    for (const one of [held[1], held[2], held[3]]) (await one)?.();
    await Promise.all(held);
    expect(slots.standing()).toEqual({ tenants: 0, inUse: 0, waiting: 0, refused: 0 });
  });
  it('are nobody else’s concern', async () => {
    const slots = new Slots({ inUse: 1, waiting: 0, waitMs: 1_000 });
    await slots.take(A);
    await expect(slots.take(A)).rejects.toMatchObject({ code: 'tenant.busy' });
    expect([slots.isFull(A), slots.isFull(B)]).toEqual([true, false]);
    (await slots.take(B))();
  });
  it('are waited for only so long, and by only so many', async () => {
    const slots = new Slots({ inUse: 1, waiting: 1, waitMs: 20 });
    const giveBack = await slots.take(A);
    const late = slots.take(A);
    await expect(slots.take(A)).rejects.toMatchObject({ code: 'tenant.busy', retryAfterSeconds: 1 });
    await expect(late).rejects.toMatchObject({ code: 'tenant.busy' });
    giveBack();
    expect(slots.standing()).toEqual({ tenants: 0, inUse: 0, waiting: 0, refused: 2 });
  });
  it('are refused in the words of whoever made them', async () => {
    const slots = new Slots({ inUse: 1, waiting: 0, waitMs: 20 }, () => new DomainError('placement.busy', { retryAfterSeconds: 3 }));
    await slots.take('a database');
    await expect(slots.take('a database')).rejects.toMatchObject({ code: 'placement.busy', retryAfterSeconds: 3 });
    expect(slots.standing().refused).toBe(1);
  });
  it('are given back once, however often that is said', async () => {
    const slots = new Slots({ inUse: 2, waiting: 5, waitMs: 1_000 });
    const [first] = [await slots.take(A), await slots.take(A)];
    first();
    first();
    expect(slots.standing().inUse).toBe(1);
  });
  it('never run out of count, whatever is taken and given back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(A, B), fc.boolean()), { maxLength: 60 }), async (steps) => {
        const slots = new Slots({ inUse: 2, waiting: 2, waitMs: 10_000 });
        const held: Record<string, (() => void)[]> = { [A]: [], [B]: [] };
        let asked = 0;
        for (const [tenant, take] of steps) {
          if (take) {
            asked += 1;
            slots.take(tenant).then(
              (giveBack) => held[tenant]?.push(giveBack),
              () => undefined,
            );
          } else held[tenant]?.shift()?.();
          await turn();
          for (const one of [A, B]) expect(held[one]?.length).toBeLessThanOrEqual(2);
          const { inUse, waiting, refused } = slots.standing();
          expect(inUse).toBe((held[A]?.length ?? 0) + (held[B]?.length ?? 0));
          expect(waiting).toBeLessThanOrEqual(4);
          expect(inUse + waiting + refused).toBeLessThanOrEqual(asked);
        }
        for (let more = true; more; ) {
          const giveBack = held[A]?.shift() ?? held[B]?.shift();
          giveBack?.();
          await turn();
          more = slots.standing().inUse > 0;
        }
        expect(slots.standing()).toMatchObject({ tenants: 0, inUse: 0, waiting: 0 });
      }),
      { numRuns: 100 },
    );
  });
});
