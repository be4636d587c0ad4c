import { invalidField } from '@tenantry/contracts/errors';

const MAX_KEY_BYTES = 1024;
const MAX_NAME_BYTES = 255;

/** The names that a key consists of. @throws DomainError `request.invalid` for a key that could mean anything but a file below the prefix */
export function segmentsOf(key: string): string[] {
  const bad = (rule: string, message: string) => invalidField('key', rule, message);
  if (key === '' || Buffer.byteLength(key) > MAX_KEY_BYTES) throw bad('length', `A key has 1 to ${MAX_KEY_BYTES} bytes`);
  if (/[\x00-\x1f\x7f\\]/.test(key)) throw bad('characters', 'A key has no control characters and no backslash');
  if (!key.isWellFormed()) throw bad('characters', 'A key is well-formed Unicode');
  const segments = key.split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..'))
    throw bad('relative', 'A key is relative, without empty parts, "." and ".."');
  if (segments.some((segment) => Buffer.byteLength(segment) > MAX_NAME_BYTES))
    throw bad('length', `A part of a key has at most ${MAX_NAME_BYTES} bytes`);
  return segments;
}
