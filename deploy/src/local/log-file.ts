import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

const maxBytes = 10 * 1024 * 1024;
const keptFiles = 3;

/** A log file that is moved on to `<path>.1`, `.2`, … when it is full. Synchronous, so that the last words of a process are never lost. */
export class LogFile {
  private descriptor: number;
  private size: number;

  constructor(private readonly path: string) {
    this.descriptor = openSync(path, 'a', 0o600);
    this.size = fstatSync(this.descriptor).size;
  }

  write(chunk: Buffer): void {
    if (this.size + chunk.length > maxBytes && this.size > 0) this.rotate();
    writeSync(this.descriptor, chunk);
    this.size += chunk.length;
  }

  close(): void {
    closeSync(this.descriptor);
  }

  private rotate(): void {
    closeSync(this.descriptor);
    for (let number = keptFiles - 1; number >= 0; number--) {
      const from = number === 0 ? this.path : `${this.path}.${number}`;
      try {
        renameSync(from, `${this.path}.${number + 1}`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    this.descriptor = openSync(this.path, 'a', 0o600);
    this.size = 0;
  }
}
