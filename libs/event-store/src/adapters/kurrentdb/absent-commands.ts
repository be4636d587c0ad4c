import type { AppendCommand } from '../../port.js';
import type { StreamEnd, Tail } from './tail.js';

/** That a command's id was not known, and its stream's end, at a position of the log. */
interface Absent {
  at: number;
  stream: string;
  end: StreamEnd;
}

/** What reading a stream has just told of the command that is decided on it: the copy need not be asked again. */
export class AbsentCommands {
  private readonly absent = new Map<string, Absent>();

  note(tenantId: string, commandId: string, absent: Absent): void {
    this.absent.set(`${tenantId} ${commandId}`, absent);
    if (this.absent.size > 10_000) this.absent.delete(this.absent.keys().next().value as string);
  }

  /** The end of the command's stream of then; null where it must be asked for. */
  take(tail: Tail | null, { tenantId, commandId, stream }: AppendCommand): StreamEnd | null {
    const key = `${tenantId} ${commandId}`;
    const absent = this.absent.get(key);
    if (!absent || !tail || absent.stream !== stream) return null;
    this.absent.delete(key);
    // What came after it must be in the tail.
    return absent.at >= tail.base && tail.isShort ? absent.end : null;
  }
}
