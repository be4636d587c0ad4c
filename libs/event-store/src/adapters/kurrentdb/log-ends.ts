import { DomainError } from '@tenantry/contracts/errors';
import type { AppendedEnds } from './appended-ends.js';
import type { CopyReader, Standing } from './copy-reader.js';
import type { KnownLog, KnownLogs } from './known-logs.js';
import type { Patience } from './patience.js';
import { logEventOf, streamOf } from './recorded.js';
import type { Server } from './server.js';
import { Tail } from './tail.js';

/** Events of a read. */
const PAGE = 1_000;
/** Positions of a log that is kept whole, as far as its streams and commands go. */
const SHORT = 500;
const TRIM_STEP = 100;

export interface LogEndsParts {
  logs: KnownLogs;
  server: Server;
  copy: CopyReader;
  appended: AppendedEnds;
  patience: Patience;
}

/** Where each log ends: where the copy does, and what the server holds beyond it. */
export class LogEnds {
  constructor(private readonly parts: LogEndsParts) {}

  /** The log's tail as far as it is known; asks the copy where it isn't. */
  async load(log: KnownLog): Promise<Tail> {
    if (!log.tail) {
      const [standing] = await this.standing([{ tenantId: log.tenantId, stream: '', commandId: '' }]);
      this.learn(log, standing as Standing);
    }
    return log.tail as Tail;
  }

  /** What the copy knows; one answer per question. */
  standing(questions: readonly { tenantId: string; stream: string; commandId: string }[]): Promise<Standing[]> {
    return this.parts.patience.again(() => this.parts.copy.standing(questions));
  }

  learn(log: KnownLog, { copy }: Standing): void {
    this.parts.appended.copied(log.tenantId, copy.position);
    if (!log.tail) {
      // A short log is read from its beginning: from then on nothing has to be asked of the copy.
      log.tail = new Tail(copy.position < SHORT ? { position: -1, timeUs: 0, contexts: new Map() } : copy);
      log.atLeast = copy.position;
    } else if (copy.position - log.tail.base >= TRIM_STEP) log.tail.trim(copy.position);
  }

  /** The copy was seen to have the log up to `head`. */
  copied(tenantId: string, head: number): void {
    this.parts.appended.copied(tenantId, head);
    const log = this.parts.logs.get(tenantId);
    // Not while something is decided on what was there; and not each time, since readings that are under way would begin again.
    if (log?.tail && !log.busy && head - log.tail.base >= TRIM_STEP) log.tail.trim(head);
  }

  /** Reads on to the end that the log has now, or later. */
  read(log: KnownLog, tail: Tail, endMs?: number): Promise<void> {
    return this.parts.patience.again(() => this.readEnd(log, tail), endMs);
  }

  private readEnd(log: KnownLog, tail: Tail): Promise<void> {
    if (!log.reading) {
      log.reading = this.readOn(log, tail).finally(() => {
        log.reading = null;
      });
      return log.reading;
    }
    // The one under way may have passed the end before this was asked.
    log.next ??= log.reading
      .catch(() => undefined) // whoever began it hears of it
      .then(() => {
        log.next = null;
        return this.readEnd(log, tail);
      });
    return log.next;
  }

  private async readOn(log: KnownLog, tail: Tail): Promise<void> {
    const stream = streamOf(log.tenantId);
    for (;;) {
      const events = await this.parts.server.read(stream, tail.position + 1, PAGE);
      tail.add(events.map(logEventOf));
      if (events.length < PAGE) return;
    }
  }

  /** The server refuses the end that is known, and holds nothing after it: does it hold the end itself? */
  async refuseIfSetBack(log: KnownLog, revision: number): Promise<void> {
    if (revision < 0) return;
    const [there] = await this.parts.patience.again(() => this.parts.server.read(streamOf(log.tenantId), revision, 1));
    if (!there) throw this.setBack(log);
  }

  setBack(log: KnownLog): DomainError {
    log.tail = null;
    const cause = new Error(`KurrentDB has less of the log of ${log.tenantId} than the copy in PostgreSQL: it was set back`);
    return new DomainError('service.unavailable', { detail: 'The log is being repaired', retryAfterSeconds: 60, cause });
  }
}
