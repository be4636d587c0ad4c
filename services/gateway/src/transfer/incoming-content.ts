import type { IncomingMessage } from 'node:http';
import { DomainError } from '@tenantry/contracts/errors';

/** Of a part; what is read at once beyond it is less than a message has left. */
const ENOUGH_BYTES = 384 * 1024;
/** How long a reader waits for some. */
const WAIT_MS = 1_000;
/** A client that sends less in so much time keeps others from sending. */
const SLOW_MS = 60_000;
const SLOW_BYTES = 64 * 1024;
/** A reader that asks for nothing for so long has died: parts of a bucket take their time, its last step more. */
const SILENT_MS = 30_000;
const SILENT_AT_END_MS = 180_000;
const LOOK_MS = 1_000;

/** What a reader that waits is woken by. */
const NEWS = ['readable', 'end', 'close'] as const;

interface Part {
  offset: number;
  content: Buffer;
  end: boolean;
}

export interface IncomingContentOptions {
  /** Whether the client may still send. @throws DomainError where it may not */
  stillAllowed: () => Promise<void>;
  slowMs?: number;
  silentMs?: number;
}

/**
 * A request's body, read by another process part by part: nothing is read ahead, so that the client waits for the reader. Whatever ends it
 * before its time is told to both sides.
 */
export class IncomingContent {
  /** Rejects when it has ended before its time. */
  readonly ended: Promise<never>;
  private readonly fail: (error: DomainError) => void;
  private failure: DomainError | null = null;
  private reader: string | null = null;
  /** What was given last: for a reader that asks again because it got no answer. */
  private last: Part | null = null;
  private offset = 0;
  private reading: Promise<Part> | null = null;
  private lastReadMs = performance.now();
  private lookedMs = Number.NEGATIVE_INFINITY;
  private slow = { waitedMs: 0, bytes: 0 };
  private readonly timer: NodeJS.Timeout;
  private wakened: () => void = () => undefined;
  private readonly wake = () => this.wakened();

  constructor(
    private readonly raw: IncomingMessage,
    private readonly options: IncomingContentOptions,
  ) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.ended = promise;
    this.fail = (error) => {
      this.failure ??= error;
      reject(this.failure);
    };
    // Whoever waits for it hears of it; nobody has to.
    promise.catch(() => undefined);
    raw.once('close', () => {
      if (!raw.complete) this.fail(cutShort());
    });
    raw.on('error', () => this.fail(cutShort()));
    for (const event of NEWS) raw.on(event, this.wake);
    this.timer = setInterval(() => this.lookForReader(), LOOK_MS);
    this.timer.unref();
  }

  /** @throws DomainError of what has ended it */
  read(reader: string, offset: number): Promise<Part> {
    this.lastReadMs = performance.now();
    this.reader ??= reader;
    // A second process was asked, because the answer of the first was lost: neither knows what became of the other.
    if (this.reader !== reader || (offset !== this.offset && offset !== this.last?.offset)) this.fail(interrupted());
    if (this.failure) return Promise.reject(this.failure);
    if (this.last?.offset === offset && (this.last.end || this.last.content.length > 0)) return Promise.resolve(this.last);
    this.reading ??= this.next().finally(() => {
      this.reading = null;
      this.lastReadMs = performance.now();
    });
    return this.reading;
  }

  end(): void {
    clearInterval(this.timer);
    for (const event of NEWS) this.raw.off(event, this.wake);
    this.fail(interrupted());
  }

  private async next(): Promise<Part> {
    const { offset, raw } = this;
    try {
      await this.look();
      const content = await this.come();
      if (this.failure) throw this.failure;
      this.last = { offset, content, end: raw.complete && raw.readableLength === 0 };
      this.offset += content.length;
      return this.last;
    } catch (error) {
      this.fail(error instanceof DomainError ? error : new DomainError('internal.error', { cause: error }));
      throw this.failure;
    }
  }

  /** Enough, or what has come within a second. */
  private async come(): Promise<Buffer> {
    const begunMs = performance.now();
    const pieces: Buffer[] = [];
    let bytes = 0;
    const isOver = () => this.failure !== null || (this.raw.complete && this.raw.readableLength === 0) || this.raw.destroyed;
    for (;;) {
      for (let piece = this.raw.read() as Buffer | null; piece !== null; piece = this.raw.read() as Buffer | null) {
        pieces.push(piece);
        bytes += piece.length;
        if (bytes >= ENOUGH_BYTES) break;
      }
      const leftMs = begunMs + WAIT_MS - performance.now();
      if (bytes >= ENOUGH_BYTES || isOver() || leftMs <= 0) break;
      await this.somethingNew(leftMs);
    }
    if (bytes < ENOUGH_BYTES && !isOver()) this.refuseSlow(performance.now() - begunMs, bytes);
    else this.slow = { waitedMs: 0, bytes: 0 };
    return Buffer.concat(pieces, bytes);
  }

  /** More to read, or nothing more ever; or the time is over. */
  private async somethingNew(withinMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, withinMs);
    this.wakened = resolve;
    await promise;
    clearTimeout(timer);
  }

  private refuseSlow(waitedMs: number, bytes: number): void {
    this.slow.waitedMs += waitedMs;
    this.slow.bytes += bytes;
    if (this.slow.waitedMs < (this.options.slowMs ?? SLOW_MS)) return;
    if (this.slow.bytes < SLOW_BYTES)
      throw new DomainError('request.timeout', { detail: `An upload brings at least ${SLOW_BYTES} bytes in ${SLOW_MS / 1_000} s` });
    this.slow = { waitedMs: 0, bytes: 0 };
  }

  /** What allowed it when it began may have changed since. */
  private async look(): Promise<void> {
    if (performance.now() - this.lookedMs < LOOK_MS) return;
    await this.options.stillAllowed();
    this.lookedMs = performance.now();
  }

  private lookForReader(): void {
    if (this.reading) return;
    const silentMs = this.last?.end ? SILENT_AT_END_MS : (this.options.silentMs ?? SILENT_MS);
    if (performance.now() - this.lastReadMs > silentMs) this.fail(interrupted());
  }
}

const cutShort = () => new DomainError('request.malformed', { detail: 'The body is shorter than it was to be: the client went away' });
const interrupted = () =>
  new DomainError('service.unavailable', { detail: 'The upload was interrupted: send it again', retryAfterSeconds: 1 });
