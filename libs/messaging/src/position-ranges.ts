/** Positions from `from` to `to`, both included. */
export interface Range {
  from: number;
  to: number;
}

/** A set of positions as ranges. Small where positions come nearly in order, as they do from a stream. */
export class PositionRanges {
  /** In order, with at least one missing position between two. */
  private readonly ranges: Range[] = [];

  add(position: number): void {
    const { ranges } = this;
    const last = ranges.at(-1);
    if (!last || position > last.to + 1) {
      ranges.push({ from: position, to: position });
      return;
    }
    if (position === last.to + 1) {
      last.to = position;
      return;
    }
    // The first range that ends at or after the position before this one.
    let low = 0;
    let high = ranges.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ranges[middle] as Range).to >= position - 1) high = middle;
      else low = middle + 1;
    }
    const found = ranges[low] as Range;
    const next = ranges[low + 1];
    if (position < found.from - 1) ranges.splice(low, 0, { from: position, to: position });
    else if (position === found.from - 1) found.from = position;
    else if (position === found.to + 1) {
      found.to = position;
      if (next && next.from === position + 1) {
        found.to = next.to;
        ranges.splice(low + 1, 1);
      }
    }
  }

  /** What of the set is after `position`. */
  after(position: number): Range[] {
    return this.ranges.flatMap(({ from, to }) => (to > position ? [{ from: Math.max(from, position + 1), to }] : []));
  }

  /** What of `wanted` is not in the set. */
  missing({ from, to }: Range): Range[] {
    const gaps: Range[] = [];
    let at = from;
    for (const range of this.ranges) {
      if (range.to < at) continue;
      if (range.from > to) break;
      if (range.from > at) gaps.push({ from: at, to: range.from - 1 });
      at = range.to + 1;
    }
    if (at <= to) gaps.push({ from: at, to });
    return gaps;
  }
}
