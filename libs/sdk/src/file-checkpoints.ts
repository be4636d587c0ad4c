import { open, readFile, rename } from 'node:fs/promises';
import { type Chain, type Checkpoint, MemoryCheckpoints } from './checkpoints.js';

/**
 * Checkpoints in one JSON file, for one process. Replaced whole (temporary file, fsync, rename), at most one write at a time:
 * what was handled while a write was under way comes with the next. After a crash some events are handled again.
 */
export class FileCheckpoints extends MemoryCheckpoints {
  private writing: Promise<void> | null = null;
  private waiting: Promise<void> | null = null;

  private constructor(private readonly path: string) {
    super();
  }

  /** Reads the file; one that isn't there yet is made with the first event. @throws Error where it can't be read as checkpoints */
  static async open(path: string): Promise<FileCheckpoints> {
    const made = new FileCheckpoints(path);
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '{}';
      throw error;
    });
    for (const [key, checkpoint] of Object.entries(JSON.parse(text) as Record<string, Checkpoint>)) made.known.set(key, checkpoint);
    return made;
  }

  override async move(chain: Chain, from: Checkpoint | null | undefined, to: Checkpoint, work: (transaction: undefined) => Promise<void>) {
    await super.move(chain, from, to, work);
    await this.written();
  }

  /** A write that begins after now. */
  private written(): Promise<void> {
    if (!this.writing) {
      this.writing = this.write().finally(() => {
        this.writing = null;
      });
      return this.writing;
    }
    this.waiting ??= this.writing
      .catch(() => undefined)
      .then(() => {
        this.waiting = null;
        return this.written();
      });
    return this.waiting;
  }

  private async write(): Promise<void> {
    const text = JSON.stringify(Object.fromEntries(this.known));
    const temporary = `${this.path}.new`;
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.path);
  }
}
