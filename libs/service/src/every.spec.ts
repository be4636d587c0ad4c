import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { every } from './every.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('works every so often, never twice at a time, until it is ended', async () => {
  const rounds: PromiseWithResolvers<void>[] = [];
  const end = every(
    100,
    () => {
      const round = Promise.withResolvers<void>();
      rounds.push(round);
      return round.promise;
    },
    () => expect.unreachable(),
  );
  await vi.advanceTimersByTimeAsync(350);
  expect(rounds).toHaveLength(1);
  rounds[0]?.resolve();
  await vi.advanceTimersByTimeAsync(100);
  expect(rounds).toHaveLength(2);

  let ended = false;
  const ending = end().then(() => {
    ended = true;
  });
  await vi.advanceTimersByTimeAsync(500);
  expect(ended).toBe(false);
  rounds[1]?.resolve();
  await ending;
  expect(rounds).toHaveLength(2);
});

it('goes on after a failure, and says so', async () => {
  const errors: unknown[] = [];
  let rounds = 0;
  const end = every(
    100,
    async () => {
      rounds += 1;
      if (rounds === 1) throw new Error('not this time');
    },
    (error) => void errors.push(error),
  );
  await vi.advanceTimersByTimeAsync(250);
  await end();
  expect(rounds).toBe(2);
  expect(errors).toEqual([new Error('not this time')]);
});
