import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import { type CustomTransportStrategy, type MessageHandler, Server } from '@nestjs/microservices';
import { DomainError } from '@tenantry/contracts/errors';
import type { Answer, CommandContext, Operation, Principal, Route, RouteInput, Scope, ServiceName } from '@tenantry/contracts/route';
import type { Served } from '@tenantry/messaging/handles';
import type { Call, Caller } from '@tenantry/messaging/rpc';
import { callerOf, decode, encode, problemOf, type WireReply, type WireRequest } from '@tenantry/messaging/rpc-wire';
import { isTransient } from '@tenantry/messaging/sql';
import { runWith } from '@tenantry/observability/context';
import type { Logger } from '@tenantry/observability/logger';
import { rpcServed } from '@tenantry/observability/metrics';
import { childTraceparent } from '@tenantry/observability/traceparent';
import { traced } from '@tenantry/observability/tracing';
import { isOfErased } from '@tenantry/tenancy/erased-fence';
import { isObservable, lastValueFrom } from 'rxjs';
import { denial } from './authorize.js';
import { fieldErrors, invalid, parsed } from './validation.js';

export interface RpcServerOptions {
  service: ServiceName;
  /** This process, for operations that are addressed to one. */
  instance?: string;
  connection: NatsConnection;
  /** The gateway's tokens. @throws DomainError `auth.unauthenticated` */
  verify: (token: string) => { principal: Principal };
  /** Who may reach the route at all: its own scope, or a wider one of its faces. */
  scopeOf: (route: Route) => Scope;
  /** Waits until the service's read models have seen a position, as a query may ask; false when that takes too long. */
  caughtUp?: (minPosition: NonNullable<CommandContext['minPosition']>) => Promise<boolean>;
  logger: Logger;
  /** Whether calls are taken at all: not in a process that only does background work. Default true. */
  listening?: boolean;
  /** Calls at once; above that the caller is told to come back. Default 512. */
  maxInFlight?: number;
  /** How long `close` waits for calls that run. Default 6,000. */
  drainMs?: number;
}

interface Serving<C> {
  contract: C;
  handler: MessageHandler;
}

/**
 * Serves the methods that are marked with `Handles`, over the process's one NATS connection.
 * Nest's own NATS server would do, but for three things: it opens a connection of its own, it sleeps a fixed time at shutdown
 * instead of waiting for the calls that run, and its packets and observables cost more than the calls themselves.
 */
export class RpcServer extends Server implements CustomTransportStrategy {
  private readonly subscriptions: Subscription[] = [];
  private readonly running = new Set<Promise<void>>();
  private readonly maxInFlight: number;
  private saidAwayMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: RpcServerOptions) {
    super();
    this.maxInFlight = options.maxInFlight ?? 512;
  }

  override listen(callback: (error?: unknown) => void): void {
    try {
      for (const [subject, handler] of this.options.listening === false ? [] : this.messageHandlers) {
        const { contract, serve } = this.serverOf(subject, handler);
        this.subscriptions.push(
          this.options.connection.subscribe(this.heard(subject, contract), {
            queue: this.options.service,
            callback: (error, message) => {
              if (error) this.options.logger.error({ err: error, subject }, 'a subject cannot be served');
              else this.accept(message, contract.name, serve);
            },
          }),
        );
      }
      callback();
    } catch (error) {
      callback(error);
    }
  }

  /** Takes no more calls, and waits for those that run: other replicas get what comes meanwhile. */
  override async close(): Promise<void> {
    await Promise.allSettled(this.subscriptions.splice(0).map((subscription) => subscription.drain()));
    const late = new Promise<void>((resolve) => setTimeout(resolve, this.options.drainMs ?? 6_000).unref());
    await Promise.race([Promise.allSettled([...this.running]), late]);
  }

  override on(): never {
    throw new Error('the server has no events of its own: see the connection');
  }
  override unwrap<T>(): T {
    return this.options.connection as T;
  }

  private heard(subject: string, contract: Route | Operation): string {
    if (contract.kind === 'route' || !contract.addressed) return subject;
    if (this.options.instance === undefined) throw new Error(`${contract.name} is addressed, and the process has no name`);
    return `${subject}.${this.options.instance}`;
  }

  private serverOf(subject: string, handler: MessageHandler): { contract: Route | Operation; serve: (message: Msg) => Promise<WireReply> } {
    const { contract } = (handler.extras ?? {}) as Partial<Served>;
    if (!contract) throw new Error(`${subject} is not served by a method marked with Handles`);
    if (contract.owner !== this.options.service)
      throw new Error(`${contract.name} belongs to ${contract.owner}, not to ${this.options.service}`);
    if (contract.kind === 'operation') {
      const served = { contract, handler };
      return { contract, serve: (message) => this.operation(served, message) };
    }
    const served = { contract, handler, scope: this.options.scopeOf(contract) };
    return { contract, serve: (message) => this.route(served, message) };
  }

  private accept(message: Msg, operation: string, serve: (message: Msg) => Promise<WireReply>): void {
    const run = this.answer(message, operation, serve).finally(() => this.running.delete(run));
    this.running.add(run);
  }

  private async answer(message: Msg, operation: string, serve: (message: Msg) => Promise<WireReply>): Promise<void> {
    const started = performance.now();
    let outcome = 'ok';
    let reply: WireReply;
    try {
      if (this.running.size >= this.maxInFlight)
        throw new DomainError('service.unavailable', { detail: 'Too much is asked at once', retryAfterSeconds: 1 });
      reply = await serve(message);
    } catch (error) {
      const known = error instanceof DomainError ? error : new DomainError('internal.error', { cause: error });
      outcome = known.code;
      reply = { problem: problemOf(known) };
    }
    try {
      message.respond(encode(reply));
    } catch (error) {
      outcome = 'unsent';
      this.options.logger.error({ err: error, subject: message.subject }, 'an answer could not be sent');
      message.respond(encode({ problem: problemOf(new DomainError('internal.error')) }));
    }
    rpcServed.observe({ operation, outcome }, (performance.now() - started) / 1000);
  }

  private async operation({ contract, handler }: Serving<Operation>, message: Msg): Promise<WireReply> {
    const service = callerOf(message.subject);
    if (!(contract.callers as readonly string[]).includes(service)) {
      throw new DomainError('auth.forbidden', { detail: `${service} may not call ${contract.name}` });
    }
    const request = read(message);
    const traceparent = childTraceparent(request.traceparent);
    const input = request.input as { tenantId?: unknown } | undefined;
    const tenantId = typeof input?.tenantId === 'string' ? input.tenantId : undefined;
    const caller: Caller = { service, traceparent };
    return this.within({ traceparent, tenantId }, contract.name, async () => ({
      ok: await invoke(handler, parsed(contract.input, request.input), caller),
    }));
  }

  private async route({ contract, handler, scope }: Serving<Route> & { scope: Scope }, message: Msg): Promise<WireReply> {
    if (callerOf(message.subject) !== 'gateway') throw new DomainError('auth.forbidden', { detail: 'Only the gateway forwards requests' });
    const { input, token, command } = read(message);
    if (!command) throw new DomainError('request.malformed', { detail: 'A request needs its command' });
    const principal = this.principal(contract, token);
    const traceparent = childTraceparent(command.traceparent);
    const given = (input ?? {}) as Partial<RouteInput>;
    const tenantId = (given.params as { tenantId?: string } | undefined)?.tenantId;
    return this.within({ traceparent, tenantId }, contract.name, async () => {
      const refusal = denial(principal, { scope, permission: contract.permission, tenantId });
      if (refusal) throw refusal;
      const call: Call<Route> = {
        ...validated(contract, given),
        tenantId: tenantId ?? '',
        command: { ...command, principal, traceparent },
      };
      const stale =
        command.minPosition !== undefined && contract.method === 'GET' && (await this.options.caughtUp?.(command.minPosition)) === false;
      const ok = this.shown(contract, (await invoke(handler, call, undefined)) as Answer);
      return stale ? { ok, stale } : { ok };
    });
  }

  private principal(contract: Route, token: string | undefined): Principal {
    if (token !== undefined) return this.options.verify(token).principal;
    if (contract.scope !== 'public') throw new DomainError('auth.unauthenticated');
    return { kind: 'anonymous', id: 'anonymous', permissions: [] };
  }

  /** Only what the contract shows leaves the service, whatever else the handler had in its hands. */
  private shown(route: Route, answer: Answer): Answer {
    const result = route.answers[answer.status]?.safeParse(answer.body);
    if (result?.success) return { ...answer, body: result.data };
    this.options.logger.error(
      { operation: route.name, status: answer.status, issues: result?.error.issues },
      'an answer is not as its contract says',
    );
    return answer;
  }

  /** While it is away every call fails: one line every few seconds says enough. */
  private databaseAway(error: unknown, operation: string): void {
    const now = performance.now();
    const level = now - this.saidAwayMs > 5_000 ? 'warn' : 'debug';
    if (level === 'warn') this.saidAwayMs = now;
    this.options.logger[level]({ err: error, operation }, 'calls fail: the database is away');
  }

  private within<T>(context: { traceparent: string; tenantId?: string }, name: string, work: () => Promise<T>): Promise<T> {
    return runWith(context, async () => {
      try {
        return await traced(`serve ${name}`, {}, work);
      } catch (error) {
        if (error instanceof DomainError) {
          if (error.code === 'internal.error') this.options.logger.error({ err: error, operation: name }, 'a call failed');
          throw error;
        }
        if (isTransient(error)) {
          this.databaseAway(error, name);
          throw new DomainError('service.unavailable', { retryAfterSeconds: 1, cause: error });
        }
        if (isOfErased(error)) throw new DomainError('tenant.deleted', { cause: error });
        this.options.logger.error({ err: error, operation: name }, 'a call failed');
        throw new DomainError('internal.error', { cause: error });
      }
    });
  }
}

function read(message: Msg): WireRequest {
  try {
    return decode<WireRequest>(message.data);
  } catch (error) {
    throw new DomainError('request.malformed', { cause: error });
  }
}

async function invoke(handler: MessageHandler, data: unknown, caller: Caller | undefined): Promise<unknown> {
  const result: unknown = await handler(data, caller);
  // Nest hands an error that the handler threw back as an observable.
  return isObservable(result) ? lastValueFrom(result) : result;
}

/** The three parts, each by its schema; the gateway has said the same already, but this service answers for its own rows. */
function validated(route: Route, input: Partial<RouteInput>): RouteInput {
  const parts = { params: {}, query: {}, body: {} } as Record<'params' | 'query' | 'body', any>;
  const errors = [];
  for (const part of ['params', 'query', 'body'] as const) {
    const schema = route[part];
    if (!schema) continue;
    const result = schema.safeParse(input[part] ?? (part === 'body' && !route.bodyOptional ? undefined : {}));
    if (result.success) parts[part] = result.data;
    else errors.push(...fieldErrors(result.error));
  }
  if (errors.length > 0) throw invalid(errors);
  return parts;
}
