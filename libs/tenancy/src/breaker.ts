import { sqlState } from './sql.js';

/** What a database's failures have come to. */
interface Open {
  failures: number;
  untilMs: number;
  /** Somebody is finding out whether it is back. */
  probing: boolean;
}

/**
 * Keeps callers away from a database that does not answer, so that they neither wait for it nor hold anything meanwhile. It opens at the
 * first failure; when its time is over one caller tries, and the others are still refused until it has succeeded. Pure: time is passed in.
 */
export class Breaker {
  readonly #open = new Map<string, Open>();

  /** @param firstMs how long it stays open at first; it doubles up to `longestMs` */
  constructor(
    private readonly firstMs: number,
    private readonly longestMs: number,
  ) {}

  /** Milliseconds until it is worth asking again; 0 where it is now. For whoever has to wait for something else before he asks. */
  left(database: string, nowMs: number): number {
    const open = this.#open.get(database);
    if (!open) return 0;
    if (nowMs < open.untilMs) return open.untilMs - nowMs;
    return open.probing ? this.firstMs : 0;
  }

  /** The same of a caller who asks now: with 0 he may go on, and then has to say how that ended. */
  enter(database: string, nowMs: number): number {
    const leftMs = this.left(database, nowMs);
    const open = this.#open.get(database);
    if (open && leftMs === 0) open.probing = true;
    return leftMs;
  }

  answered(database: string): void {
    this.#open.delete(database);
  }

  failed(database: string, nowMs: number): void {
    const failures = (this.#open.get(database)?.failures ?? 0) + 1;
    const openMs = Math.min(this.longestMs, this.firstMs * 2 ** Math.min(failures - 1, 20));
    this.#open.set(database, { failures, untilMs: nowMs + openMs, probing: false });
  }
}

/** The server or its database can't be reached, takes no connections, or keeps silent: nothing that the statement was to blame for. */
export function isUnreachable(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: string };
  if (typeof code === 'string' && /^(ECONN|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)/.test(code)) return true;
  // 55000: the database takes no connections. 53300: too many of them.
  if (/^(08...|57P0[0-9]|53300|55000)$/.test(sqlState(error) ?? '')) return true;
  return /timeout exceeded when trying to connect|Query read timeout|Connection terminated|not queryable/i.test(message ?? '');
}

/** No answer came although the server ends statements by itself before that. */
export const isSilence = (error: unknown): boolean => /Query read timeout/i.test((error as Error).message ?? '');
