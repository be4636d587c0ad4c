import { microseconds } from '../../hash.js';
import type { CommandOf, LogEvent } from './recorded.js';

/** What an append must know of a log's end. */
export interface LogEnd {
  /** -1 for a log that does not exist. */
  position: number;
  timeUs: number;
  /** The last position of each context. */
  contexts: ReadonlyMap<string, number>;
}

/** The last event of a stream. */
export interface StreamEnd {
  version: number;
  eventId: string | null;
}
export const noStream: StreamEnd = { version: -1, eventId: null };

export type KnownCommand = CommandOf & { stream: string };

/** From here on, what the copy has by now is asked for with every append. */
const TRIM_ABOVE = 500;
/** Commands whose ids are kept of a log that is known from its beginning. */
const MAX_COMMANDS = 5_000;

/** The end of one log: where the copy ended once, and each event after it, as the server was seen to hold them. */
export class Tail {
  /** The copy has everything up to here. */
  base: number;
  /** Whether every stream and command of the log is known: it was read from its beginning, and isn't long. */
  isComplete: boolean;
  private events: LogEvent[] = [];
  private time: number;
  private readonly context: Map<string, number>;
  private readonly streams = new Map<string, StreamEnd & { position: number }>();
  private readonly commands = new Map<string, KnownCommand>();

  constructor(copy: LogEnd) {
    this.base = copy.position;
    this.isComplete = copy.position < 0;
    this.time = copy.timeUs;
    this.context = new Map(copy.contexts);
  }

  get position(): number {
    return this.base + this.events.length;
  }
  get timeUs(): number {
    return this.time;
  }
  get contexts(): ReadonlyMap<string, number> {
    return this.context;
  }
  /** Events that are held. */
  get length(): number {
    return this.events.length;
  }
  get isShort(): boolean {
    return this.events.length < TRIM_ABOVE;
  }
  /** Memory, in events. */
  get weight(): number {
    return this.events.length + this.commands.size / 4;
  }

  /** The end of a stream, where it is known; undefined: as in the copy. */
  stream(stream: string): StreamEnd | undefined {
    return this.streams.get(stream);
  }
  command(id: string): KnownCommand | undefined {
    return this.commands.get(id);
  }
  /** Events of a stream from a version on. */
  ofStream(stream: string, fromVersion: number): LogEvent[] {
    if ((this.streams.get(stream) ?? noStream).version < fromVersion) return [];
    return this.events.filter(({ event }) => event.stream === stream && event.streamVersion >= fromVersion);
  }
  /** Events of the positions, undefined where the first is not here (the copy has it). */
  range(first: number, last: number): LogEvent[] | undefined {
    return first > this.base ? this.events.slice(first - this.base - 1, last - this.base) : undefined;
  }

  /** Events that the server holds, in order; those that are known already are passed over. @throws Error where one is missing before them */
  add(events: readonly LogEvent[]): void {
    for (const added of events) {
      const { event, command } = added;
      if (event.position <= this.position) continue;
      if (event.position !== this.position + 1) throw new Error(`the log goes on at ${event.position} after ${this.position}`);
      this.events.push(added);
      this.time = microseconds(event.recordedAt);
      this.context.set(event.context, event.position);
      this.streams.set(event.stream, { version: event.streamVersion, eventId: event.id, position: event.position });
      this.commands.set(command.id, { ...command, stream: event.stream });
    }
  }

  /** Lets go of what the copy has by now. */
  trim(copied: number): void {
    const gone = Math.min(copied, this.position) - this.base;
    if (gone <= 0) return;
    this.base += gone;
    this.events.splice(0, gone);
    if (this.isComplete && this.commands.size <= MAX_COMMANDS) return;
    // From now on only what is beyond the copy is known.
    this.isComplete = false;
    for (const [stream, { position }] of this.streams) if (position <= this.base) this.streams.delete(stream);
    for (const [id, { lastPosition }] of this.commands) if (lastPosition <= this.base) this.commands.delete(id);
  }
}
