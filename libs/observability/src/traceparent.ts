import { randomUUID } from 'node:crypto';

/** W3C Trace Context: who asked for this work, over all processes. */
export interface TraceParent {
  /** 32 hex digits. */
  traceId: string;
  /** 16 hex digits. */
  spanId: string;
  flags: string;
}

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZERO = /^0+$/;

/** Null where the text is no valid `traceparent` header. Later versions than 00 may have more parts, which are left out. */
export function parseTraceparent(text: string | undefined): TraceParent | null {
  const match = text === undefined || text.length > 200 ? null : FORM.exec(text);
  if (!match) return null;
  const [, version, traceId, spanId, flags, rest] = match as unknown as [string, string, string, string, string, string | undefined];
  if (version === 'ff' || (version === '00' && rest !== undefined) || ZERO.test(traceId) || ZERO.test(spanId)) return null;
  return { traceId, spanId, flags };
}

export const formatTraceparent = ({ traceId, spanId, flags }: TraceParent): string => `00-${traceId}-${spanId}-${flags}`;

const hex32 = () => randomUUID().replaceAll('-', '');

/** The same trace with a span of its own; a new trace where there is none yet. */
export function childTraceparent(parent?: string): string {
  const known = parseTraceparent(parent);
  return known ? `00-${known.traceId}-${hex32().slice(0, 16)}-${known.flags}` : `00-${hex32()}-${hex32().slice(0, 16)}-01`;
}

/** What people search logs by; the trace id of a `traceparent` known to be valid. */
export const traceIdOf = (traceparent: string | undefined): string | undefined => traceparent?.slice(3, 35);
