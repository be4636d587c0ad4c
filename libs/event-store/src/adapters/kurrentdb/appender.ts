import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError } from '@tenantry/contracts/errors';
import type { StoredEvent } from '@tenantry/contracts/events';
import { measure } from '../../limits.js';
import type { AppendCommand, AppendResult } from '../../port.js';
import type { AbsentCommands } from './absent-commands.js';
import type { AppendedEnds } from './appended-ends.js';
import { type Asked, type Decided, decideGroup } from './decide.js';
import type { KnownLog, KnownLogs, Pending } from './known-logs.js';
import type { LogEnds } from './log-ends.js';
import { type Patience, retryInMs } from './patience.js';
import { ReadBack } from './read-back.js';
import { type LogEvent, type ProposedEvent, proposed, streamOf } from './recorded.js';
import { type Server, ServerRefuses } from './server.js';
import { noStream, type Tail } from './tail.js';

/** Commands and bytes of one append; the server takes 1 MiB. */
const GROUP_COMMANDS = 64;
const GROUP_BYTES = 512 * 1024;
/** Logs that are appended to at the same time. */
const MAX_BUSY = 128;
/** Events beyond the copy that a log may have before it takes no more. */
const MAX_TAIL = 20_000;
/** After this long without an answer, the log is looked at before the append is made again. */
const SLOW_MS = 400;

export interface AppenderParts {
  logs: KnownLogs;
  ends: LogEnds;
  absent: AbsentCommands;
  appended: AppendedEnds;
  server: Server;
  patience: Patience;
  /** The events of a command that was appended before. */
  events: (log: KnownLog, first: number, last: number) => Promise<StoredEvent[]>;
  onAppended: (tenantIds: string[]) => void;
}

/** One log's part of what is appended together. */
interface Group {
  log: KnownLog;
  group: Pending[];
}

/**
 * Appends at the end of each log that is known, the commands that wait for it in one call; on another end it reads on and decides again.
 * An append is answered from what was read back: the server takes an append for a repeated one by its ids alone.
 */
export class Appender {
  private readonly readBack: ReadBack;
  private readonly ready = new Set<KnownLog>();
  private busy = 0;
  private scheduled = false;

  constructor(private readonly parts: AppenderParts) {
    this.readBack = new ReadBack(parts.server);
  }

  async append(command: AppendCommand): Promise<AppendResult> {
    const measured = measure(command);
    return new Promise((resolve, reject) => {
      const log = this.parts.logs.use(command.tenantId);
      log.waiting.push({ command, measured, resolve, reject });
      this.ready.add(log);
      this.schedule();
    });
  }

  // Not at once: what comes in the same turn of the event loop is looked up together, and goes in the same append of its log.
  private schedule(): void {
    if (this.scheduled || this.ready.size === 0) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      const groups: Group[] = [];
      for (const log of this.ready) {
        if (this.busy >= MAX_BUSY) break;
        this.ready.delete(log);
        if (log.busy || log.waiting.length === 0) continue;
        log.busy = true;
        this.busy++;
        groups.push({ log, group: take(log) });
      }
      if (groups.length > 0) void this.run(groups);
    });
  }

  private async run(groups: Group[]): Promise<void> {
    const asked = await this.ask(groups).catch((error: unknown) => {
      for (const { group } of groups) for (const { reject } of group) reject(error);
      return null;
    });
    await Promise.all(
      groups.map(async ({ log, group }, index) => {
        try {
          if (asked) await this.commit(log, group, asked[index] as Asked[]);
        } catch (error) {
          // Those that have their result already are not touched by this.
          for (const { reject } of group) reject(error);
        } finally {
          log.busy = false;
          this.busy--;
          if (log.waiting.length > 0) this.ready.add(log);
          this.schedule();
        }
      }),
    );
    this.parts.logs.bound();
  }

  /** What the copy knows of each command, in one question for all logs; nothing is asked where a reading has just told. */
  private async ask(groups: Group[]): Promise<Asked[][]> {
    const questions: { tenantId: string; stream: string; commandId: string }[] = [];
    const places: [number, number][] = [];
    const asked = groups.map(({ log, group }, at) => {
      const known = group.map(({ command }) => this.parts.absent.take(log.tail, command));
      const isComplete = log.tail?.isComplete === true && log.tail.isShort;
      // Of one log all or none: the answers, and what the tail still holds, must be of one moment.
      const isKnown = known.every((end) => end !== null);
      return group.map(({ command }, index): Asked => {
        if (isComplete || isKnown) return { command, copiedStream: known[index] ?? noStream, copiedCommand: null };
        places.push([at, index]);
        questions.push(command);
        return { command, copiedStream: noStream, copiedCommand: null };
      });
    });
    if (questions.length > 0) {
      const standings = await this.parts.ends.standing(questions);
      standings.forEach((standing, question) => {
        const [at, index] = places[question] as [number, number];
        const { log } = groups[at] as Group;
        const of = asked[at]?.[index] as Asked;
        of.copiedStream = standing.stream;
        of.copiedCommand = standing.command;
        this.parts.ends.learn(log, standing);
      });
    }
    return asked;
  }

  private async commit(log: KnownLog, group: Pending[], asked: Asked[]): Promise<void> {
    const { ends, patience } = this.parts;
    const endMs = performance.now() + patience.retryForMs;
    const tail = log.tail ?? (await ends.load(log));
    if (tail.position < log.atLeast) await ends.read(log, tail);
    if (tail.position < log.atLeast) throw ends.setBack(log);
    if (tail.length > MAX_TAIL) {
      const detail = 'The copy of the log is too far behind for more to be added';
      throw new DomainError('service.unavailable', { detail, retryAfterSeconds: 10 });
    }
    let isRead = false;
    for (let attempt = 1; ; attempt++) {
      const decided = decideGroup(tail, asked, Date.now() * 1_000);
      // A refusal must be true of the log as it is, not as it was when it was last looked at.
      if (!isRead && decided.some(({ outcome }) => outcome === 'unread')) {
        await ends.read(log, tail);
        isRead = true;
        continue;
      }
      const events = decided.flatMap((one) => (one.outcome === 'append' ? one.events : []));
      if (events.length === 0 || (await this.appendAt(log, tail, events, endMs))) return this.settle(log, group, decided);
      isRead = true;
      if (performance.now() > endMs) throw new DomainError('service.unavailable', { retryAfterSeconds: 5 });
      // Spreads replicas that meet on one log.
      if (attempt > 1) await sleep(Math.random() * Math.min(attempt, 10) * 3);
    }
  }

  /** Appends at the end that is known. @returns false where the log went on otherwise; then its end was read */
  private async appendAt(log: KnownLog, tail: Tail, events: LogEvent[], endMs: number): Promise<boolean> {
    const { ends, server } = this.parts;
    const stream = streamOf(log.tenantId);
    const revision = tail.position;
    const data = events.map(proposed);
    const last = events.at(-1) as LogEvent;
    for (let attempt = 1; ; attempt++) {
      // The same command tried elsewhere at the same moment makes the server wait for its own timeout: the log tells sooner.
      const result = await server.append(stream, data, revision, attempt === 1 ? SLOW_MS : undefined);
      if (result.outcome === 'refused') throw new ServerRefuses(`KurrentDB refuses an append to ${stream}: ${result.reason}`);
      if (result.outcome === 'done') {
        const found = await this.readBack.event(stream, last.event.position, result.position).catch(() => null); // then the end is read, below
        // Its metadata say everything that another one's would say otherwise: time, leaf, the request's HMAC.
        if (found?.id === last.event.id && Buffer.compare(found.metadata, (data.at(-1) as ProposedEvent).metadata) === 0) {
          tail.add(events.map(({ event, command }) => ({ event: { ...event, data: structuredClone(event.data) }, command })));
          return true;
        }
      }
      // In doubt the log itself tells. Where it has gone on from the revision, what stands there is the outcome; where it has not, the
      // identical append is made again: the server knows it by its ids, as long as it is at this revision.
      await ends.read(log, tail, endMs);
      if (tail.position > revision) {
        const held = tail.range(last.event.position, last.event.position)?.[0];
        return held !== undefined && isSame(held, last);
      }
      if (result.outcome === 'wrong') await ends.refuseIfSetBack(log, revision);
      const waitMs = retryInMs(attempt);
      if (performance.now() + waitMs > endMs) {
        throw new DomainError('service.unavailable', {
          cause: result.outcome === 'unknown' ? result.cause : undefined,
          retryAfterSeconds: 5,
        });
      }
      await sleep(waitMs);
    }
  }

  private settle(log: KnownLog, group: Pending[], decided: Decided[]): void {
    let grown = false;
    decided.forEach((one, index) => {
      const { resolve, reject } = group[index] as Pending;
      switch (one.outcome) {
        case 'append':
          grown = true;
          this.parts.appended.add(log.tenantId, one.events.at(-1)?.event.position ?? -1);
          resolve({ outcome: 'appended', events: one.events.map(({ event }) => event) });
          break;
        case 'repeated':
          this.parts
            .events(log, one.command.firstPosition, one.command.lastPosition)
            .then((events) => resolve({ outcome: 'repeated', events }), reject);
          break;
        case 'mismatch':
          reject(new DomainError('idempotency.mismatch'));
          break;
        default:
          reject(new DomainError('log.conflict'));
      }
    });
    if (grown) this.parts.onAppended([log.tenantId]);
  }
}

/** What waits for one log, as much as one append holds, in its order. */
function take(log: KnownLog): Pending[] {
  let bytes = 0;
  let count = 0;
  for (const { measured } of log.waiting) {
    if (count > 0 && (count >= GROUP_COMMANDS || bytes + measured.bytes > GROUP_BYTES)) break;
    count++;
    bytes += measured.bytes;
  }
  return log.waiting.splice(0, count);
}

/** The leaf is of position, version, time and body: whatever was appended elsewhere has another. */
const isSame = (held: LogEvent, sent: LogEvent): boolean =>
  held.event.id === sent.event.id && held.event.leaf === sent.event.leaf && held.command.requestHmac === sent.command.requestHmac;
