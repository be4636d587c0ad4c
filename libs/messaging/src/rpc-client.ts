import { setTimeout as sleep } from 'node:timers/promises';
import { type Msg, type NatsConnection, NoRespondersError, RequestError, TimeoutError } from '@nats-io/transport-node';
import { DomainError } from '@tenantry/contracts/errors';
import type { Answer, CommandContext, Operation, Route, RouteInput, ServiceName } from '@tenantry/contracts/route';
import { currentContext } from '@tenantry/observability/context';
import { rpcCalled } from '@tenantry/observability/metrics';
import { childTraceparent } from '@tenantry/observability/traceparent';
import type { z } from 'zod';
import { type CallOptions, RpcClient } from './rpc.js';
import { calledSubject, decode, encode, errorOf, type WireReply, type WireRequest } from './rpc-wire.js';

export interface NatsRpcClientOptions {
  connection: NatsConnection;
  /** This process: the broker lets it publish below its own name only. */
  process: ServiceName;
  /** Signs who asks, for one callee: only the gateway forwards routes. */
  sign?: (principal: CommandContext['principal'], audience: string) => string;
}

type Succeeded = Exclude<WireReply, { problem: unknown }>;
const DEFAULT_TIMEOUT_MS = 10_000;
const FIRST_WAIT_MS = 25;
const LONGEST_WAIT_MS = 500;

/**
 * Calls over NATS request/reply. Until the timeout it asks again while nobody serves the subject (a restart, a rolling upgrade), and
 * when the broker was lost: it forgets who may answer whom, so an answer that was due can't come any more. Asking twice does no harm:
 * operations are idempotent, and commands have their id.
 */
export class NatsRpcClient extends RpcClient {
  /** Of the calls that wait for an answer: called when the connection is lost. */
  private readonly waiting = new Set<() => void>();
  /** While the connection is away: resolves when it is back. What is published meanwhile would be dropped. */
  private back: PromiseWithResolvers<void> | null = null;

  constructor(private readonly options: NatsRpcClientOptions) {
    super();
    void this.watch();
  }

  override async call<I extends z.ZodType, O extends z.ZodType>(
    operation: Operation<I, O>,
    input: z.infer<I>,
    { timeoutMs = operation.timeoutMs, askAgainAfterMs, traceparent = currentContext()?.traceparent, at }: CallOptions = {},
  ): Promise<z.infer<O>> {
    const request = { input, traceparent: traceparent ?? childTraceparent() };
    const { ok } = await this.request(operation, request, { timeoutMs, askAgainAfterMs, at });
    return ok as z.infer<O>;
  }

  override async forward(
    route: Route,
    input: RouteInput,
    { principal, ...command }: CommandContext,
  ): Promise<Answer & { stale?: boolean }> {
    const { sign } = this.options;
    if (!sign) throw new Error('only the gateway forwards routes');
    const request = { input, token: sign(principal, route.owner), command };
    const { ok, stale } = await this.request(route, request, route);
    return stale ? { ...(ok as Answer), stale } : (ok as Answer);
  }

  private async watch(): Promise<void> {
    for await (const { type } of this.options.connection.status()) {
      if (type === 'disconnect') {
        this.back ??= Promise.withResolvers();
        for (const lost of this.waiting) lost();
      } else if (type === 'reconnect' || type === 'close') {
        this.back?.resolve();
        this.back = null;
      }
    }
  }

  private ask(subject: string, data: Uint8Array, timeout: number): Promise<Msg | 'lost'> {
    return new Promise((resolve, reject) => {
      const lost = () => resolve('lost');
      this.waiting.add(lost);
      const answered = this.options.connection.request(subject, data, { timeout });
      answered.then(resolve, reject).finally(() => this.waiting.delete(lost));
    });
  }

  private async request(
    contract: Route | Operation,
    request: WireRequest,
    { timeoutMs = DEFAULT_TIMEOUT_MS, askAgainAfterMs = Number.POSITIVE_INFINITY, at }: Omit<CallOptions, 'traceparent'>,
  ): Promise<Succeeded> {
    const started = performance.now();
    let outcome = 'ok';
    try {
      const subject = calledSubject(contract, this.options.process, at);
      const reply = await this.reply(contract, subject, encode(request), { until: started + timeoutMs, askAgainAfterMs });
      if ('problem' in reply) throw errorOf(reply.problem);
      return reply;
    } catch (error) {
      outcome = error instanceof DomainError ? error.code : 'internal.error';
      throw error;
    } finally {
      rpcCalled.observe({ operation: contract.name, outcome }, (performance.now() - started) / 1000);
    }
  }

  private async reply(
    contract: Route | Operation,
    subject: string,
    data: Uint8Array,
    { until, askAgainAfterMs }: { until: number; askAgainAfterMs: number },
  ): Promise<WireReply> {
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      try {
        if (this.back) await within(this.back.promise, until - performance.now());
        const message = await this.ask(subject, data, Math.max(1, Math.ceil(Math.min(until - performance.now(), askAgainAfterMs))));
        if (message === 'lost') continue;
        return decode<WireReply>(message.data);
      } catch (error) {
        if (error instanceof TimeoutError && performance.now() < until - 1) continue;
        if (error instanceof TimeoutError && !this.back)
          throw new DomainError('service.timeout', {
            detail: `${contract.owner} did not answer in time`,
            retryAfterSeconds: 1,
            cause: error,
          });
        const jittered = waitMs * (0.5 + Math.random() / 2);
        if (!isNoResponders(error) || performance.now() + jittered >= until)
          throw new DomainError('service.unavailable', {
            detail: `${contract.owner} is not available right now`,
            retryAfterSeconds: 1,
            cause: error,
          });
        await sleep(jittered);
      }
    }
  }
}

const isNoResponders = (error: unknown): boolean =>
  error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders());

/** @throws TimeoutError */
async function within(work: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TimeoutError()), Math.max(0, timeoutMs));
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
