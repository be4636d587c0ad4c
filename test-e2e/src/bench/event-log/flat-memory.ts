import type { EventStore } from '@tenantry/event-store/port';
import { round } from './bench.js';
import { appendCommand } from './payload.js';

const EVENTS_PER_COMMAND = 100;
const CALLERS = 8;
const PAGE = 2_000;

/** Memory of this process after a tenth of the events and after all of them; the demand is at most 1.3 ×. */
interface Flatness {
  atATenthMb: number;
  atTheEndMb: number;
  ratio: number;
}

const residentMb = () => process.memoryUsage().rss / 1024 ** 2;

class Watch {
  private atATenth = 0;
  constructor(private readonly total: number) {}
  passed(done: number): void {
    if (this.atATenth === 0 && done >= this.total / 10) this.atATenth = residentMb();
  }
  result(): Flatness {
    const end = residentMb();
    return { atATenthMb: round(this.atATenth), atTheEndMb: round(end), ratio: round(end / this.atATenth, 2) };
  }
}

/** Appends `total` events to one log and reads them all again, in pages. */
export async function flatMemory(store: EventStore, tenantId: string, total: number): Promise<{ appending: Flatness; reading: Flatness }> {
  const appending = new Watch(total);
  let appended = 0;
  await Promise.all(
    Array.from({ length: CALLERS }, async (_, caller) => {
      for (let version = -1; appended < total; version += EVENTS_PER_COMMAND) {
        appended += EVENTS_PER_COMMAND;
        await store.append(appendCommand(tenantId, `memory-${caller}`, version, EVENTS_PER_COMMAND));
        appending.passed(appended);
      }
    }),
  );
  const whileAppending = appending.result();
  const reading = new Watch(total);
  for (let from = 0; ; ) {
    const slice = await store.readLog(tenantId, from, { limit: PAGE });
    reading.passed(slice.scannedTo + 1);
    if (slice.scannedTo >= slice.head) break;
    from = slice.scannedTo + 1;
  }
  return { appending: whileAppending, reading: reading.result() };
}
