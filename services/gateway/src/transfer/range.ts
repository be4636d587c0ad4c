/** The bytes from the first to the last, both included. */
export interface Range {
  first: number;
  last: number;
}

/**
 * What a `Range` header asks for of a file (RFC 9110, 14.2): null for all of it, as for what is no single range of bytes: that is to be
 * ignored.
 */
export function rangeOf(header: string | undefined, bytes: number): Range | 'not_satisfiable' | null {
  const match = /^\s*bytes\s*=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*$/i.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return null;
  if (match[1] === '') {
    const suffix = Math.min(Number(match[2]), bytes);
    return suffix === 0 ? 'not_satisfiable' : { first: bytes - suffix, last: bytes - 1 };
  }
  const first = Number(match[1]);
  const last = match[2] === '' ? bytes - 1 : Math.min(Number(match[2]), bytes - 1);
  if (match[2] !== '' && Number(match[2]) < first) return null;
  return first >= bytes ? 'not_satisfiable' : { first, last };
}
