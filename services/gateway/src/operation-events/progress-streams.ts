import { Injectable } from '@nestjs/common';
import { DomainError, errorCodes } from '@tenantry/contracts/errors';
import { newId } from '@tenantry/contracts/ids';
import type { CommandContext } from '@tenantry/contracts/route';
import type { OperationView } from '@tenantry/contracts/tenant/bodies';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Logger } from '@tenantry/observability/logger';
import { Bus } from '@tenantry/service/bus';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Endpoint } from '../http/endpoint.js';
import { validated } from '../http/input.js';
import { changes } from './changes.js';

/** Wake-ups of the tenant come as fast as its events; a person's eye doesn't. */
const MIN_INTERVAL_MS = 50;
const MAX_INTERVAL_MS = 2_000;
const HEARTBEAT_MS = 15_000;
const MAX_STREAMS = 500;

/** `text/event-stream` of an operation: `event: step` for each step that changed, `event: counts` when those of work over many tenants did, `event: done` at the end. */
@Injectable()
export class OperationEvents {
  private readonly open = new Set<() => void>();

  constructor(
    private readonly rpc: RpcClient,
    private readonly bus: Bus,
    private readonly logger: Logger,
  ) {}

  /**
   * @param authorize whether the caller still may: asked before each further look, because work lasts longer than a key
   * @throws DomainError `operation.not_found`; `service.unavailable` when too many streams are open
   */
  async stream(endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply, authorize: () => Promise<void>): Promise<FastifyReply> {
    if (this.open.size >= MAX_STREAMS)
      throw new DomainError('service.unavailable', { detail: 'Too many streams are open', retryAfterSeconds: 5 });
    const parts = validated(endpoint, { ...request, params: request.params, query: request.query, body: undefined });
    const read = async () => {
      const { principal, traceparent, requestId } = request.exchange;
      const command: CommandContext = { id: newId(), requestHash: '', principal, traceparent, correlationId: requestId };
      return (await this.rpc.forward(endpoint.route, { params: parts.params, query: {}, body: {} } as never, command))
        .body as OperationView;
    };
    const first = await read();
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    const again = async () => {
      await authorize();
      return read();
    };
    this.follow(first, again, raw);
    return reply;
  }

  /** The gateway is going: clients connect again, to another replica. */
  endAll(): void {
    for (const end of [...this.open]) end();
  }

  private follow(first: OperationView, read: () => Promise<OperationView>, raw: FastifyReply['raw']): void {
    let seen: OperationView | null = null;
    let timer: NodeJS.Timeout | undefined;
    let reading = false;
    let lastMs = performance.now();
    const write = (event: string, data: unknown) => raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    const show = (operation: OperationView): void => {
      for (const step of changes(seen, operation)) write('step', step);
      const counts = JSON.stringify(operation.counts);
      if (operation.counts && counts !== JSON.stringify(seen?.counts)) write('counts', operation.counts);
      seen = operation;
      if (operation.finishedAt === null) return;
      write('done', operation);
      end();
    };
    const look = async () => {
      if (reading || raw.writableEnded) return;
      reading = true;
      lastMs = performance.now();
      try {
        show(await read());
      } catch (error) {
        if (isRefusal(error)) return end();
        // It is asked again soon; the client's connection stays.
        this.logger.warn({ err: error }, 'the progress of an operation could not be read');
      } finally {
        reading = false;
        schedule(MAX_INTERVAL_MS);
      }
    };
    const schedule = (inMs: number) => {
      if (raw.writableEnded || raw.destroyed) return;
      clearTimeout(timer);
      timer = setTimeout(() => void look(), inMs);
    };
    const subscription =
      first.tenantId === null
        ? null
        : this.bus.connection.subscribe(`tenantry.events.${first.tenantId}.tenant.>`, {
            callback: () => schedule(Math.max(0, MIN_INTERVAL_MS - (performance.now() - lastMs))),
          });
    const heartbeat = setInterval(() => {
      // Who doesn't read would have us keep what is written for him: he may connect again.
      if (raw.writableNeedDrain) raw.destroy();
      else raw.write(': still here\n\n');
    }, HEARTBEAT_MS);
    const end = () => {
      if (!this.open.delete(end)) return;
      clearTimeout(timer);
      clearInterval(heartbeat);
      subscription?.unsubscribe();
      raw.end();
    };
    this.open.add(end);
    raw.on('close', end);
    raw.on('error', end);
    show(first);
    // Between the first look and the subscription something may have happened.
    schedule(MIN_INTERVAL_MS);
  }
}

/** The key was revoked, or may no longer see it. What is only away says nothing about the caller. */
const isRefusal = (error: unknown): boolean => error instanceof DomainError && [401, 403, 404, 410].includes(errorCodes[error.code].status);
