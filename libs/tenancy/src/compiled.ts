import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** The committed script, where it is. */
export const compiledFile = fileURLToPath(new URL('../compiled/tenant.sql', import.meta.url));

let read: Promise<string> | undefined;
/** Its text with the places for names still open; read once per process. */
export function compiledScript(): Promise<string> {
  read ??= readFile(compiledFile, 'utf8');
  return read;
}
