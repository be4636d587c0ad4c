import { createHash } from 'node:crypto';
import type { StoredEvent } from '@tenantry/contracts/events';
import canonicalize from 'canonicalize';

/** What the body hash covers: the envelope without position, stream version and time, which only the log knows. */
export type Body = Pick<StoredEvent, 'tenantId' | 'stream' | 'id' | 'context' | 'type' | 'version' | 'data' | 'metadata'>;

/** JSON by RFC 8785: the same value gives the same text on every machine. @throws Error for what JSON cannot hold (NaN, lone surrogates, cycles) */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new Error('the value has no JSON form');
  return text;
}

/** SHA-256 (hex) of the canonical JSON of the body. */
export function bodyHash({ tenantId, stream, id, context, type, version, data, metadata }: Body): string {
  return createHash('sha256').update(canonicalJson({ tenantId, stream, id, context, type, version, data, metadata })).digest('hex');
}

/**
 * The event's leaf in the audit tree (RFC 6962), hex: SHA-256 of 0x00 ‖ position ‖ stream version ‖ time ‖ body hash,
 * the three numbers as int64, big endian, the time in µs since the epoch.
 */
export function leafHash(of: { position: number; streamVersion: number; recordedAtUs: number; bodyHash: string }): string {
  const bytes = Buffer.alloc(57);
  bytes.writeBigInt64BE(BigInt(of.position), 1);
  bytes.writeBigInt64BE(BigInt(of.streamVersion), 9);
  bytes.writeBigInt64BE(BigInt(of.recordedAtUs), 17);
  bytes.write(of.bodyHash, 25, 'hex');
  return createHash('sha256').update(bytes).digest('hex');
}

/** Whether an event as it was read, not upcast, is the one that was appended. */
export function isIntact(event: StoredEvent): boolean {
  return bodyHash(event) === event.bodyHash && leafHash({ ...event, recordedAtUs: microseconds(event.recordedAt) }) === event.leaf;
}

/** RFC 3339 in UTC with six digits, so that text order is time order. Exact until the year 2255. */
export function instantOf(us: number): string {
  const second = Math.floor(us / 1_000_000);
  // Events that are read together are mostly of the same second.
  if (second !== lastSecond) {
    lastSecond = second;
    lastText = new Date(second * 1000).toISOString().slice(0, 20);
  }
  return `${lastText}${String(us - second * 1_000_000).padStart(6, '0')}Z`;
}
let lastSecond = 0;
let lastText = '1970-01-01T00:00:00.';

/** µs since the epoch of an instant made by `instantOf`. */
export const microseconds = (instant: string): number => Date.parse(`${instant.slice(0, 23)}Z`) * 1000 + Number(instant.slice(23, 26));
