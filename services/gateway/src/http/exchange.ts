import type { Principal } from '@tenantry/contracts/route';

/** What the gateway knows about one request while it lasts. */
export interface Exchange {
  /** From `X-Request-Id` where that is fit to be logged, else made here. Travels as the correlation id. */
  requestId: string;
  /** Of the gateway's own span. */
  traceparent: string;
  startedMs: number;
  principal: Principal;
  /** The tenant whose resource is asked for; undefined on routes that have none. */
  tenantId?: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    exchange: Exchange;
  }
}
