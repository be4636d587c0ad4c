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

/** Calls operations and (from the gateway) routes of other services. Retries nothing by itself except `no responders` within the timeout. */
export abstract class RpcClient {
  /** @throws DomainError as the callee threw it; `service.unavailable` (nobody answers), `service.timeout` */
  abstract call<I extends z.ZodType, O extends z.ZodType>(
    operation: Operation<I, O>,
    input: z.infer<I>,
    options?: { timeoutMs?: number; traceparent?: string },
  ): Promise<z.infer<O>>;
  /** `stale`: the owner's read models had not caught up with `command.minPosition` in time. */
  abstract forward(route: Route, input: RouteInput, command: CommandContext): Promise<Answer & { stale?: boolean }>;
}
