import { describe, expect, it } from 'vitest';
import { Breaker } from './breaker.js';

describe('the breaker', () => {
  it('lets callers through to a database that answers', () => {
    expect(new Breaker(1_000, 8_000).enter('a', 0)).toBe(0);
  });

  it('opens at the first failure, for that database only', () => {
    const breaker = new Breaker(1_000, 8_000);
    breaker.failed('a', 0);
    expect(breaker.enter('a', 400)).toBe(600);
    expect(breaker.enter('b', 400)).toBe(0);
  });

  it('lets one caller find out when its time is over, and all when that one was answered', () => {
    const breaker = new Breaker(1_000, 8_000);
    breaker.failed('a', 0);
    expect(breaker.enter('a', 1_000)).toBe(0);
    expect(breaker.enter('a', 1_000)).toBe(1_000);
    breaker.answered('a');
    expect(breaker.enter('a', 1_001)).toBe(0);
    expect(breaker.enter('a', 1_001)).toBe(0);
  });

  it('says how long it stays open to whoever only wants to know, who then has not found out for the others', () => {
    const breaker = new Breaker(1_000, 8_000);
    expect(breaker.left('a', 0)).toBe(0);
    breaker.failed('a', 0);
    expect(breaker.left('a', 400)).toBe(600);
    expect(breaker.left('a', 1_000)).toBe(0);
    expect(breaker.enter('a', 1_000)).toBe(0);
    expect(breaker.left('a', 1_000)).toBe(1_000);
  });

  it('stays open longer each time that one found nothing, up to a limit', () => {
    const breaker = new Breaker(1_000, 8_000);
    const open: number[] = [];
    for (let n = 0, nowMs = 0; n < 6; n++) {
      breaker.failed('a', nowMs);
      const forMs = breaker.enter('a', nowMs);
      open.push(forMs);
      nowMs += forMs;
      expect(breaker.enter('a', nowMs)).toBe(0);
    }
    expect(open).toEqual([1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  });
});
