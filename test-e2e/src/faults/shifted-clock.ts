import { openSync, readSync } from 'node:fs';

// Loaded before a process's program (`--import`): its clock is ahead by the milliseconds that the file holds as a double, and jumps when that
// is written. Only the time of day: like on a machine whose clock is set, timers and performance.now() go on as they were.
const file = openSync(process.env['TENANTRY_FAULT_CLOCK'] as string, 'r');
const offset = Buffer.alloc(8);
const RealDate = Date;
const realNow = RealDate.now.bind(RealDate);
const now = () => {
  readSync(file, offset, 0, 8, 0);
  return realNow() + offset.readDoubleLE(0);
};
RealDate.now = now;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, given, as) => Reflect.construct(target, given.length === 0 ? [now()] : given, as),
  apply: () => new RealDate(now()).toString(),
});
