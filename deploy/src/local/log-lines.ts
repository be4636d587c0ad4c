/** pino writes a level as a number, or by its name when it is told to. */
const shown: Record<string, string> = { 40: 'warning', 50: 'error', 60: 'fatal', warn: 'warning', error: 'error', fatal: 'fatal' };

/** Cuts a stream of bytes into lines; keeps the unfinished end for the next call. */
export function lineSplitter(each: (line: string) => void): (chunk: Buffer) => void {
  let rest = '';
  const decoder = new TextDecoder();
  return (chunk) => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    // Whatever is longer than this is no line that a person reads.
    if (rest.length > 65_536) rest = '';
    for (const line of lines) if (line.trim() !== '') each(line);
  };
}

/** What a line of a service's log (pino's JSON) says on the console: its text from warnings on; undefined for the rest. */
export function forConsole(line: string, stream: 'stdout' | 'stderr'): string | undefined {
  if (line.startsWith('{')) {
    try {
      const entry = JSON.parse(line) as { level?: number | string; msg?: string; err?: { message?: string } };
      if (entry.level !== undefined) {
        const level = shown[entry.level];
        if (level === undefined) return undefined;
        const cause = entry.err?.message && entry.err.message !== entry.msg ? `: ${entry.err.message}` : '';
        return `${level}: ${entry.msg ?? ''}${cause}`;
      }
    } catch {
      // Not pino's: a line like any other.
    }
  }
  return stream === 'stderr' ? line : undefined;
}
