import type { LogSlice } from '@tenantry/event-store/port';
import type { Applied } from './checkpoints.js';
import type { Known } from './progress.js';
import type { RebuildReason } from './rebuild.js';

/** Up to this many irrelevant events are looked at once more, so that the checkpoint's own event is seen again. */
const recheckWithin = 200;

/** From where to read: the checkpoint's own event, so that it can be compared, unless much that is irrelevant was looked at since. */
export const readFrom = ({ applied, scannedTo }: Known): number =>
  applied !== null && scannedTo - applied.position <= recheckWithin ? applied.position : scannedTo + 1;

/** The slice that was read from `readFrom`, without the checkpoint's own event; or why the log is not the one that the checkpoint is of. */
export function continueFrom(
  applied: Applied | null,
  from: number,
  slice: LogSlice,
): { rewritten: RebuildReason } | { events: LogSlice['events'] } {
  if (applied === null) return { events: slice.events };
  if (slice.head < applied.position) return { rewritten: 'beyond-head' };
  if (from !== applied.position) return { events: slice.events };
  const [first, ...rest] = slice.events;
  return first?.position === applied.position && first.id === applied.eventId ? { events: rest } : { rewritten: 'rewritten' };
}
