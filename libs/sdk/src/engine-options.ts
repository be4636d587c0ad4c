import type { EventSubscription, TenantryApi } from './api.js';
import type { Checkpoints } from './checkpoints.js';
import type { TenantEvent } from './event.js';

/** History of a tenant is another one from this position on: everything from there is handed over again. */
export interface Rewritten {
  tenantId: string;
  /** The chain that noticed: a context, or `all`. */
  context: string;
  from: number;
}
/** What is worth a line in the subscriber's log. */
export type Notice =
  | { kind: 'dropped'; reason: 'malformed' | 'forged' | 'unknown_tenant'; subject: string; position?: number }
  | { kind: 'healed'; tenantId: string; context: string; from: number; to: number }
  | { kind: 'failed'; tenantId: string; position: number; attempt: number; error: unknown }
  | { kind: 'waiting'; tenantId?: string; reason: string; error?: unknown };

export interface EngineOptions<Transaction> {
  subscription: Pick<
    EventSubscription,
    'id' | 'stream' | 'consumers' | 'inboxPrefix' | 'tenants' | 'contexts' | 'types' | 'from' | 'createdAt'
  >;
  api: TenantryApi | null;
  checkpoints: Checkpoints<Transaction>;
  handle: (event: TenantEvent, transaction: Transaction) => Promise<unknown> | unknown;
  onRewritten?: (at: Rewritten) => Promise<unknown> | unknown;
  onPoison?: (event: TenantEvent, error: unknown) => Promise<'skip' | 'retry' | 'stop'> | 'skip' | 'retry' | 'stop';
  onNotice: (notice: Notice) => void;
  decrypt: boolean;
  attempts: number;
  concurrency: number;
  maxBuffered: number;
  settleMs: number;
  holeMs: number;
}
