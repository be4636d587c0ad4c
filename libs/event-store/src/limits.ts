import { DomainError } from '@tenantry/contracts/errors';
import type { AppendCommand } from './port.js';

export const MAX_EVENT_BYTES = 256 * 1024;
export const MAX_COMMAND_BYTES = 512 * 1024;

/** The command's events as JSON: what counts against the limits, and what is sent. */
export interface MeasuredCommand {
  /** One text per event. */
  events: string[];
  bytes: number;
}

// PostgreSQL's jsonb holds every JSON text but the character NUL. Not preceded by an odd number of backslashes, this is one.
const NUL = /(?<!\\)(?:\\\\)*\\u0000/;

/**
 * Refuses what no log can hold; the same in all adapters.
 * @throws DomainError `log.event_too_large`, `request.invalid` (the character NUL)
 */
export function measure(command: AppendCommand): MeasuredCommand {
  if (command.events.length === 0) throw new Error('a command has at least one event');
  let bytes = 0;
  const events = command.events.map(({ id, context, type, version, data, metadata, bodyHash }) => {
    const text = JSON.stringify({ id, context, type, version, data, metadata, hash: bodyHash });
    const size = Buffer.byteLength(text);
    if (size > MAX_EVENT_BYTES) throw tooLarge(`An event of ${size} bytes is above the limit of ${MAX_EVENT_BYTES}`);
    if (text.includes('\\u0000') && NUL.test(text)) {
      throw new DomainError('request.invalid', { detail: 'Text must not contain the character NUL' });
    }
    bytes += size;
    return text;
  });
  if (bytes > MAX_COMMAND_BYTES) throw tooLarge(`Changes of ${bytes} bytes are above the limit of ${MAX_COMMAND_BYTES}`);
  return { events, bytes };
}

const tooLarge = (detail: string) => new DomainError('log.event_too_large', { detail });
