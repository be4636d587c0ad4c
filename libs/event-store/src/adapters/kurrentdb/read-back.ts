import { setTimeout as sleep } from 'node:timers/promises';
import type { Position } from '@eventstore/db-client';
import type { RawEvent } from './inside.js';
import { isRefusal, type Server } from './server.js';

interface Asked {
  stream: string;
  revision: number;
  position: Position;
  resolve: (event: RawEvent | null) => void;
  reject: (error: unknown) => void;
}

/** Records of others that may lie between those asked for. */
const SLACK = 32;
const BUSY = 4;
const GATHER_MS = 3;

/**
 * Reads events back right after they were appended, those of all logs together: they lie side by side in `$all`. While one reading is under way,
 * those asked for meanwhile gather for the next.
 */
export class ReadBack {
  private waiting: Asked[] = [];
  private reading = false;
  /** Where the login may not read `$all`: each is read by itself. */
  private apart = false;

  constructor(private readonly server: Server) {}

  /** The event that the stream holds at a revision, which was acknowledged at a position of `$all`; null where there is none. */
  event(stream: string, revision: number, position: Position): Promise<RawEvent | null> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ stream, revision, position, resolve, reject });
      if (!this.reading) void this.readAll();
    });
  }

  private async readAll(): Promise<void> {
    this.reading = true;
    // What was acknowledged in the same turn goes together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.waiting.length > 0) {
      const asked = this.waiting;
      this.waiting = [];
      await this.read(asked);
      // A call costs more than the records that it brings: where many are asked for, a moment makes them more.
      if (asked.length >= BUSY) await sleep(GATHER_MS);
    }
    this.reading = false;
  }

  private async read(asked: Asked[]): Promise<void> {
    let left = asked;
    if (asked.length > 1 && !this.apart) {
      const found = await this.together(asked).catch((error: unknown) => {
        // Then one by one, and that error counts.
        this.apart = isRefusal(error);
        return new Map<string, RawEvent>();
      });
      left = asked.filter(({ stream, revision, resolve }) => {
        const event = found.get(`${stream} ${revision}`);
        if (event) resolve(event);
        return event === undefined;
      });
    }
    await Promise.all(
      left.map(({ stream, revision, resolve, reject }) =>
        this.server.readRaw({ stream, revision }, 1).then(([event]) => resolve(event ?? null), reject),
      ),
    );
  }

  private async together(asked: Asked[]): Promise<Map<string, RawEvent>> {
    let { position } = asked[0] as Asked;
    for (const other of asked) if (other.position.commit < position.commit) position = other.position;
    const events = await this.server.readRaw({ position }, asked.length + SLACK);
    return new Map(events.map((event) => [`${event.stream} ${event.revision}`, event]));
  }
}
