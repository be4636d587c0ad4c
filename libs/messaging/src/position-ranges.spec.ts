import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PositionRanges } from './position-ranges.js';

describe('ranges of positions', () => {
  it('say exactly what is missing, whatever the order in which positions came', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 30 })),
        fc.integer({ min: 0, max: 10 }),
        fc.integer({ min: 0, max: 35 }),
        (all, from, to) => {
          const ranges = new PositionRanges();
          for (const position of all) ranges.add(position);
          const missing = ranges
            .missing({ from, to })
            .flatMap((range) => Array.from({ length: range.to - range.from + 1 }, (_, n) => range.from + n));
          const wanted = Array.from({ length: Math.max(0, to - from + 1) }, (_, n) => from + n);
          expect(missing).toEqual(wanted.filter((position) => !all.includes(position)));
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
