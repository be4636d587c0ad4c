import { createHash } from 'node:crypto';

/** Chance that can be had again: the same seed gives the same numbers. */
export class Random {
  private state: number;

  constructor(private readonly seed: string) {
    this.state = createHash('sha256').update(seed).digest().readUInt32BE(0);
  }

  /** An independent one for a part of the trial, so that parts that run side by side don't take each other's numbers. */
  of(part: string | number): Random {
    return new Random(`${this.seed}/${part}`);
  }

  /** In [0, 1). The generator is mulberry32. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number, both ends included. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  pick<T>(among: readonly T[]): T {
    return among[this.int(0, among.length - 1)] as T;
  }
}

let announced = false;

/** Of `TENANTRY_FAULT_SEED`, or a new one; printed, so that a run can be had again. */
export function seeded(trial: string): Random {
  process.env['TENANTRY_FAULT_SEED'] ??= String(Math.floor(Math.random() * 1_000_000_000));
  const seed = process.env['TENANTRY_FAULT_SEED'];
  if (!announced) console.log(`TENANTRY_FAULT_SEED=${seed}`);
  announced = true;
  return new Random(`${seed}/${trial}`);
}
