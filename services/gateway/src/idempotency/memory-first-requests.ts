import { type Claim, FirstRequests } from './first-requests.js';
import type { FirstRequest } from './verdict.js';

interface Row extends FirstRequest {
  holder: string;
  leaseUntilMs: number;
  expiresAtMs: number;
}

/** Without a database: for tests of what is built on it. */
export class MemoryFirstRequests extends FirstRequests {
  private readonly rows = new Map<string, Row>();
  nowMs = (): number => Date.now();

  override async claim({ commandId, requestHash, holder, leaseMs }: Claim): Promise<FirstRequest | null> {
    const row = this.rows.get(commandId);
    const now = this.nowMs();
    const free = !row || row.expiresAtMs < now || (row.state === 'in_flight' && row.leaseUntilMs < now && row.requestHash === requestHash);
    if (!free) return { requestHash: row.requestHash, state: row.state, answer: row.answer };
    this.rows.set(commandId, {
      requestHash,
      state: 'in_flight',
      answer: null,
      holder,
      leaseUntilMs: now + leaseMs,
      expiresAtMs: now + 86_400_000,
    });
    return null;
  }

  override async prolong(commandId: string, holder: string, leaseMs: number): Promise<void> {
    const row = this.mine(commandId, holder);
    if (row) row.leaseUntilMs = this.nowMs() + leaseMs;
  }

  override async finish(commandId: string, holder: string, answer: NonNullable<FirstRequest['answer']>, keepMs: number): Promise<void> {
    const row = this.mine(commandId, holder);
    if (row) this.rows.set(commandId, { ...row, state: 'done', answer, expiresAtMs: this.nowMs() + keepMs });
  }

  override async release(commandId: string, holder: string): Promise<void> {
    if (this.mine(commandId, holder)) this.rows.delete(commandId);
  }

  override async purge(limit: number): Promise<number> {
    const expired = [...this.rows].filter(([, row]) => row.expiresAtMs < this.nowMs()).slice(0, limit);
    for (const [commandId] of expired) this.rows.delete(commandId);
    return expired.length;
  }

  private mine(commandId: string, holder: string): Row | undefined {
    const row = this.rows.get(commandId);
    return row?.holder === holder && row.state === 'in_flight' ? row : undefined;
  }
}
