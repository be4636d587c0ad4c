import { DomainError, invalidField } from '@tenantry/contracts/errors';
import type { AppendCommand } from './port.js';

export const MAX_EVENT_BYTES = 256 * 1024;
export const MAX_COMMAND_BYTES = 512 * 1024;
/** Characters of a stream's name and of a command id: with the tenant, they must fit into an index. */
export const MAX_NAME_LENGTH = 300;

/** The command's events as JSON: what counts against the limits, and what is sent. */
export interface MeasuredCommand {
  /** One text per event. */
  events: string[];
  bytes: number;
}

// PostgreSQL's jsonb holds every JSON text but the character NUL and halves of surrogate pairs. JSON.stringify writes these, and no other
// text, in this form; not preceded by an odd number of backslashes, it is one.
const UNHOLDABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

/**
 * Refuses what no log can hold; the same in all adapters.
 * @throws DomainError `log.event_too_large`, `request.invalid` (NUL, half a surrogate pair, names that are empty or too long)
 */
export function measure(command: AppendCommand): MeasuredCommand {
  if (command.events.length === 0) throw new Error('a command has at least one event');
  demandName('stream', command.stream);
  demandName('commandId', command.commandId);
  let bytes = 0;
  const events = command.events.map(({ id, context, type, version, data, metadata, bodyHash }) => {
    const text = JSON.stringify({ id, context, type, version, data, metadata, hash: bodyHash });
    const size = Buffer.byteLength(text);
    if (size > MAX_EVENT_BYTES) {
      const message = `makes an event of ${size} bytes, of at most ${MAX_EVENT_BYTES}; send something smaller, or in several steps`;
      throw invalidField('data', 'max_bytes', message, 'log.event_too_large');
    }
    if (text.includes('\\u') && UNHOLDABLE.test(text)) throw unholdable({ data, metadata, type });
    bytes += size;
    return text;
  });
  if (bytes > MAX_COMMAND_BYTES) {
    const message = `are ${bytes} bytes together, of at most ${MAX_COMMAND_BYTES}; make the change in several commands`;
    throw invalidField('events', 'max_bytes', message, 'log.event_too_large');
  }
  return { events, bytes };
}

function demandName(field: string, name: string): void {
  if (name.length === 0 || name.length > MAX_NAME_LENGTH) {
    throw invalidField(field, 'length', `must have 1 to ${MAX_NAME_LENGTH} characters, and has ${name.length}`);
  }
  if (name.includes('\0') || !name.isWellFormed()) throw fault(field, name);
}

/** Where the text is that no log can hold. */
export function unholdable(body: Record<string, unknown>): DomainError {
  return find(body, []) ?? new DomainError('request.invalid', { detail: 'There is a value that no JSON text can hold' });
}

function find(value: unknown, path: (string | number)[]): DomainError | null {
  if (typeof value === 'string') return value.includes('\0') || !value.isWellFormed() ? fault(path.join('.'), value) : null;
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, inner] of Object.entries(value)) {
    // The key itself is not shown: it is what cannot be written.
    const found = key.includes('\0') || !key.isWellFormed() ? fault(path.join('.'), key) : find(inner, [...path, key]);
    if (found) return found;
  }
  return null;
}

const fault = (field: string, text: string) =>
  text.includes('\0')
    ? invalidField(field, 'no_nul', 'must not contain the character NUL; leave it out')
    : invalidField(field, 'well_formed', 'must be well-formed Unicode; half of a surrogate pair was found');
