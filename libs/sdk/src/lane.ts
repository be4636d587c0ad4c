import type { ChainState } from './chain.js';
import type { TenantEvent } from './event.js';
import type { Pulled, Puller } from './puller.js';

export interface Held extends Pulled {
  event: TenantEvent;
  source: Source;
  receivedMs: number;
}
/** One consumer of the subscription. */
export interface Source {
  name: string;
  puller: Puller;
  /** The tenant of its filter; null for all. */
  tenantId: string | null;
  held: number;
  lastSequence: number;
  pending: number | null;
  /** It can't be pulled from: nothing is to be waited for. */
  refused: boolean;
}
/** One tenant. Its events are handled one after the other. */
export interface Lane {
  tenantId: string;
  queue: Held[];
  chains: Map<string, ChainState>;
  /** Highest position that was handled, of any context. */
  position: number;
  running: boolean;
  timer: NodeJS.Timeout | undefined;
  blocked: boolean;
  /** Data in clear, fetched ahead. */
  clear: Map<number, { id: string; version: number; data: unknown }>;
  verifiedMs: number;
}

/** Whether a consumer may bring events of the tenant. */
export const brings = ({ tenantId }: Source, lane: Lane): boolean => tenantId === null || tenantId === lane.tenantId;

/** Ends what is under way: the subscription is being stopped. */
export class Stopping extends Error {}
/** It can't go on: what it is of is told to whoever waits for the end. */
export class GivenUp extends Error {}

export const unprovable = (tenantId: string, position: number) =>
  new GivenUp(
    `Events of tenant ${tenantId} are missing from position ${position} on, and only the log can give them: pass api with a key that has event:read`,
  );
