import { instantOf, leafHash } from '../../hash.js';
import type { AppendCommand } from '../../port.js';
import type { LogEvent } from './recorded.js';
import { type KnownCommand, type LogEnd, noStream, type StreamEnd, type Tail } from './tail.js';

/** A command with what the copy knows of it. */
export interface Asked {
  command: AppendCommand;
  /** End of its stream in the copy. */
  copiedStream: StreamEnd;
  /** The command of its id in the copy. */
  copiedCommand: KnownCommand | null;
}

export type Decided =
  | { outcome: 'append'; events: LogEvent[] }
  | { outcome: 'repeated'; command: KnownCommand }
  | { outcome: 'mismatch' }
  | { outcome: 'conflict' }
  /** It expects more than is known of the stream: the end of the log must be read first. */
  | { outcome: 'unread' };

/**
 * What becomes of commands on one log, in the order given, each on what the one before it leaves.
 * The events of all that append are those of one append, from the log's end on.
 */
export function decideGroup(tail: Tail, asked: readonly Asked[], nowUs: number): Decided[] {
  const streams = new Map<string, StreamEnd>();
  const commands = new Map<string, KnownCommand>();
  const contexts = new Map<string, number>(tail.contexts);
  const end: Omit<LogEnd, 'contexts'> = { position: tail.position, timeUs: tail.timeUs };

  return asked.map(({ command, copiedStream, copiedCommand }): Decided => {
    const known = commands.get(command.commandId) ?? tail.command(command.commandId) ?? copiedCommand;
    if (known) return known.requestHmac === command.requestHmac ? { outcome: 'repeated', command: known } : { outcome: 'mismatch' };
    const { stream } = command;
    const { version, eventId } = streams.get(stream) ?? later(tail.stream(stream) ?? noStream, copiedStream);
    if (command.expectedVersion !== version) return { outcome: command.expectedVersion < version ? 'conflict' : 'unread' };
    if (command.expectedEventId !== undefined && command.expectedEventId !== eventId) return { outcome: 'conflict' };

    const firstPosition = end.position + 1;
    const lastPosition = end.position + command.events.length;
    const of = { id: command.commandId, requestHmac: command.requestHmac, firstPosition, lastPosition };
    const events = command.events.map((event, index): LogEvent => {
      const position = firstPosition + index;
      const streamVersion = version + 1 + index;
      const previousInContext = contexts.get(event.context) ?? null;
      contexts.set(event.context, position);
      // Strictly growing, so that "as of an instant" names one state.
      end.timeUs = Math.max(nowUs, end.timeUs + 1);
      const leaf = leafHash({ position, streamVersion, recordedAtUs: end.timeUs, bodyHash: event.bodyHash });
      const recordedAt = instantOf(end.timeUs);
      return {
        event: { ...event, tenantId: command.tenantId, stream, position, streamVersion, recordedAt, leaf, previousInContext },
        command: of,
      };
    });
    end.position = lastPosition;
    streams.set(stream, { version: version + events.length, eventId: events.at(-1)?.event.id ?? null });
    commands.set(command.commandId, { ...of, stream });
    return { outcome: 'append', events };
  });
}

const later = (a: StreamEnd, b: StreamEnd): StreamEnd => (a.version >= b.version ? a : b);
