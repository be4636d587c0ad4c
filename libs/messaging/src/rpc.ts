import type { Answer, CommandContext, Operation, Route, RouteAnswer, RouteInput } from '@tenantry/contracts/route';
import type { z } from 'zod';

// `R['body']` of a route without a body is `undefined`, of one with it `Schema | undefined`.
type Part<S> = [NonNullable<S>] extends [never]
  ? Record<string, never>
  : NonNullable<S> extends z.ZodType
    ? z.infer<NonNullable<S>>
    : never;

/** What a route's handler gets. The token was verified, the input validated, the permission checked again. */
export interface Call<R extends Route> {
  params: Part<R['params']>;
  query: Part<R['query']>;
  /** `{}` where the route lets it be left out and it was. */
  body: Part<R['body']>;
  /** `params.tenantId` where the path has one, else empty. */
  tenantId: string;
  command: CommandContext;
}
export type Reply<R extends Route> = Promise<RouteAnswer<R>>;

/** What an operation's handler gets beside its input. */
export interface Caller {
  /** Proven by the broker: it is part of the subject. */
  service: string;
  traceparent?: string;
}

export interface CallOptions {
  /** Until it is given up. Default: the operation's, else 10,000. */
  timeoutMs?: number;
  /** For quick and cheap operations: asked once more when there was no answer by then, because whoever was asked may have been killed. */
  askAgainAfterMs?: number;
  traceparent?: string;
  /** Of an addressed operation: the process that is asked. */
  at?: string;
}

/** Calls operations and (from the gateway) routes of other services. Within the timeout it asks again when nobody serves the call and when the broker was lost: both sides count on ids, not on being asked once. */
export abstract class RpcClient {
  /** @throws DomainError as the callee threw it; `service.unavailable` (nobody answers), `service.timeout` */
  abstract call<I extends z.ZodType, O extends z.ZodType>(
    operation: Operation<I, O>,
    input: z.infer<I>,
    options?: CallOptions,
  ): Promise<z.infer<O>>;
  /** `stale`: the owner's read models had not caught up with `command.minPosition` in time. */
  abstract forward(route: Route, input: RouteInput, command: CommandContext): Promise<Answer & { stale?: boolean }>;
}
