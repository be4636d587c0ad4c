import type { IncomingHttpHeaders } from 'node:http';
import { DomainError, invalidField } from '@tenantry/contracts/errors';

const TYPES: Record<string, string> = {
  csv: 'text/csv',
  gif: 'image/gif',
  gz: 'application/gzip',
  html: 'text/html',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  json: 'application/json',
  md: 'text/markdown',
  mp3: 'audio/mpeg',
  mp4: 'video/mp4',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  txt: 'text/plain',
  webp: 'image/webp',
  xml: 'application/xml',
  zip: 'application/zip',
};

/** Headers that say what a file is, by its key. Nothing is shown in a browser: it is to be saved, as what it is. */
export function describing(key: string): Record<string, string> {
  const name = key.slice(key.lastIndexOf('/') + 1);
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const extended = encodeURIComponent(name.toWellFormed()).replace(/['()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
  const extension = /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? '';
  return {
    'content-type': (Object.hasOwn(TYPES, extension) && TYPES[extension]) || 'application/octet-stream',
    'content-disposition': `attachment; filename="${plain}"; filename*=UTF-8''${extended}`,
  };
}

/**
 * What a client says of what it sends: its length where it knows it, and a SHA-256 where it gives one (RFC 9530).
 * @throws DomainError `request.unsupported_media_type`, `request.invalid`
 */
export function announcedBy(headers: IncomingHttpHeaders): { bytes: number | null; sha256: string | null } {
  if (/^\s*application\/json\b/i.test(headers['content-type'] ?? ''))
    throw new DomainError('request.unsupported_media_type', {
      detail: 'Send the content as application/octet-stream, whatever it is: application/json is for …/files/{key}',
    });
  if ((headers['content-encoding'] ?? 'identity').trim().toLowerCase() !== 'identity')
    throw new DomainError('request.unsupported_media_type', { detail: 'Send the content without a Content-Encoding' });
  const length = headers['content-length'];
  // Neither a length nor chunks: there is no body.
  const bytes = headers['transfer-encoding'] === undefined ? Number(length ?? 0) : null;
  return { bytes, sha256: digestOf(headers['content-digest'] ?? headers['repr-digest']) };
}

function digestOf(header: string | string[] | undefined): string | null {
  if (header === undefined) return null;
  const match = /(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/]{43}=):/i.exec(String(header));
  if (!match) throw invalidField('Content-Digest', 'format', 'must be a SHA-256, such as sha-256=:<base64>:');
  return Buffer.from(match[1] as string, 'base64').toString('hex');
}
