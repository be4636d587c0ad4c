import { describe, expect, it } from 'vitest';
import { DirtyQueue } from './dirty-queue.js';

const idle = { next: 'idle' } as const;

describe('the queue of dirty tenants', () => {
  it('makes one run of many wake-ups', () => {
    const queue = new DirtyQueue(0, 50);
    for (let i = 0; i < 5; i++) queue.mark('a', 0);
    expect(queue.take(10, 0)).toEqual(['a']);
    expect(queue.take(10, 0)).toEqual([]);
    queue.done('a', idle, 5);
    expect(queue.nextInMs(5)).toBeNull();
  });

  it('gives tenants in the order in which they became dirty, as many as asked for', () => {
    const queue = new DirtyQueue(0, 0);
    for (const tenant of ['a', 'b', 'c']) queue.mark(tenant, 0);
    expect(queue.take(2, 0)).toEqual(['a', 'b']);
    expect(queue.take(2, 0)).toEqual(['c']);
  });

  it('runs a tenant once more that was woken while it ran, when the interval is over', () => {
    const queue = new DirtyQueue(0, 50);
    queue.mark('a', 0);
    queue.take(1, 0);
    queue.mark('a', 3);
    queue.mark('a', 4);
    queue.done('a', idle, 10);
    expect(queue.take(1, 10)).toEqual([]);
    expect(queue.nextInMs(10)).toBe(40);
    expect(queue.take(1, 50)).toEqual(['a']);
  });

  it('keeps the interval after an idle run too', () => {
    const queue = new DirtyQueue(0, 50);
    queue.mark('a', 0);
    queue.take(1, 0);
    queue.done('a', idle, 5);
    queue.mark('a', 10);
    expect(queue.nextInMs(10)).toBe(40);
  });

  it('waits for what follows a first wake-up, unless somebody waits for the tenant', () => {
    const queue = new DirtyQueue(100, 250);
    queue.mark('a', 0);
    expect(queue.take(1, 99)).toEqual([]);
    queue.mark('a', 99, { urgent: true });
    expect(queue.take(1, 99)).toEqual(['a']);
  });

  it('puts a tenant with more to do behind the others', () => {
    const queue = new DirtyQueue(0, 50);
    queue.mark('a', 0);
    queue.mark('b', 0);
    queue.take(1, 0);
    queue.done('a', { next: 'again' }, 1);
    expect(queue.take(2, 1)).toEqual(['b', 'a']);
  });

  it('leaves a tenant that has no place yet alone until it is said to have one', () => {
    const queue = new DirtyQueue(0, 0);
    queue.mark('a', 0);
    queue.take(1, 0);
    queue.done('a', { next: 'wait' }, 1);
    queue.mark('a', 2);
    expect(queue.take(1, 1_000)).toEqual([]);
    queue.resume('a', 1_000);
    expect(queue.take(1, 1_000)).toEqual(['a']);
  });

  it('does not lose the word of its place that comes while it finds out that it has none', () => {
    const queue = new DirtyQueue(0, 0);
    queue.mark('a', 0);
    queue.take(1, 0);
    queue.resume('a', 1);
    queue.done('a', { next: 'wait' }, 2);
    expect(queue.take(1, 2)).toEqual(['a']);
  });

  it('does not run a held tenant before its time, whoever wakes it', () => {
    const queue = new DirtyQueue(0, 0);
    queue.mark('a', 0);
    queue.take(1, 0);
    queue.done('a', { next: 'hold', delayMs: 200 }, 0);
    queue.mark('a', 1, { urgent: true });
    expect(queue.take(1, 199)).toEqual([]);
    expect(queue.take(1, 200)).toEqual(['a']);
  });

  it('forgets tenants that have nothing to do', () => {
    const queue = new DirtyQueue(0, 50);
    for (let i = 0; i < 100; i++) {
      queue.mark(`t${i}`, i);
      queue.take(1, i);
      queue.done(`t${i}`, idle, i);
    }
    expect(queue.size).toBe(0);
  });

  describe('while it is calm', () => {
    const calm = { lateMs: 25, intervalMs: 20, maxIntervalMs: 80 };
    /** When a tenant that is woken every 5 ms runs, up to `untilMs`. */
    const runsOf = (queue: DirtyQueue, untilMs: number) => {
      const runs: number[] = [];
      for (let nowMs = 0; nowMs <= untilMs; nowMs += 5) {
        queue.mark('a', nowMs);
        if (queue.take(1, nowMs).length === 0) continue;
        runs.push(nowMs);
        queue.done('a', idle, nowMs);
      }
      return runs;
    };

    it('runs a tenant at once, and less and less often while it keeps coming', () => {
      expect(runsOf(new DirtyQueue(250, 250, calm), 300)).toEqual([0, 20, 60, 140, 220, 300]);
    });

    it('runs it at once again after a pause', () => {
      const queue = new DirtyQueue(250, 250, calm);
      runsOf(queue, 300);
      queue.mark('a', 600);
      expect(queue.take(1, 600)).toEqual(['a']);
      queue.done('a', idle, 600);
      queue.mark('a', 605);
      expect(queue.nextInMs(605)).toBe(15);
    });

    it('is over for a while when tenants are taken late, the more the later', () => {
      const queue = new DirtyQueue(250, 250, calm);
      queue.mark('a', 0);
      queue.take(1, 26);
      queue.done('a', idle, 30);
      queue.mark('b', 30);
      expect(queue.nextInMs(30)).toBe(78);
      queue.mark('c', 276);
      expect(queue.take(2, 276)).toEqual(['b', 'c']);
    });
  });
});
