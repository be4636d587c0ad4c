import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { DomainError, errorCodes } from '@tenantry/contracts/errors';
import { derivedId, newId } from '@tenantry/contracts/ids';
import type { Answer, CommandContext, RouteInput } from '@tenantry/contracts/route';
import { canonicalJson } from '@tenantry/event-store/hash';
import { RpcClient } from '@tenantry/messaging/rpc';
import { faultPoint } from '@tenantry/observability/fault';
import { Logger } from '@tenantry/observability/logger';
import { TenantGate } from '@tenantry/service/tenant-gate';
import type { FastifyRequest } from 'fastify';
import { Idempotency } from '../idempotency/keyed-requests.js';
import type { Outcome } from '../idempotency/verdict.js';
import { matchesEtag, parseIdempotencyKey, parseIfMatch, parseMinPosition, parseOnlyNew } from './conditions.js';
import { type Endpoint, routeInput } from './endpoint.js';
import { validated } from './input.js';
import { type Rendered, renderAnswer, renderProblem } from './rendered.js';

/** One request, from its validated parts to the owner of its route and back. */
@Injectable()
export class Forwarder {
  constructor(
    private readonly rpc: RpcClient,
    private readonly idempotency: Idempotency,
    private readonly gate: TenantGate,
    private readonly logger: Logger,
  ) {}

  /** @throws DomainError for what is refused here; what the owner refuses is an answer */
  async handle(endpoint: Endpoint, request: FastifyRequest): Promise<Rendered> {
    const { exchange, headers } = request;
    const input = routeInput(endpoint, validated(endpoint, request), exchange.tenantId);
    if (endpoint.method === 'GET') {
      const minPosition = await this.minPosition(request);
      const command = { ...context(request), id: newId(), requestHash: '', minPosition };
      const { rendered } = await this.forward(endpoint, input, command);
      const unchanged = rendered.status === 200 && matchesEtag(headers['if-none-match'], rendered.headers['etag']);
      return unchanged ? { status: 304, headers: rendered.headers, body: '' } : rendered;
    }
    const key = parseIdempotencyKey(headers['idempotency-key']);
    const requestHash = hashOf(endpoint, input);
    const ifMatch = parseIfMatch(headers['if-match']);
    const onlyNew = endpoint.method === 'PUT' && parseOnlyNew(headers['if-none-match']);
    const command = {
      ...context(request),
      requestHash,
      ifMatch,
      ...(onlyNew && { onlyNew }),
      id: key === undefined ? newId() : derivedId(exchange.principal.id, endpoint.route.name, key),
    };
    const change = async () =>
      (onlyNew ? await this.refuseExisting(endpoint, input, command) : null) ?? (await this.forward(endpoint, input, command));
    if (key === undefined) return (await change()).rendered;
    const { replayed, ...rendered } = await this.idempotency.run({ commandId: command.id, requestHash }, change);
    return replayed ? { ...rendered, headers: { ...rendered.headers, 'idempotency-replayed': 'true' } } : rendered;
  }

  /** Of a route with a file's content instead of JSON: what the gateway itself asks the owner. @throws DomainError */
  async ask(endpoint: Endpoint, request: FastifyRequest, own: Partial<RouteInput>): Promise<Answer> {
    const command = { ...context(request), id: newId(), requestHash: '' };
    return this.answer(endpoint, rawInput(endpoint, request, own), command);
  }

  /** The same as an answer to the client; what the owner refuses is one too. */
  async tell(endpoint: Endpoint, request: FastifyRequest, own: Partial<RouteInput>): Promise<Rendered> {
    const command = { ...context(request), id: newId(), requestHash: '' };
    return (await this.forward(endpoint, rawInput(endpoint, request, own), command)).rendered;
  }

  /**
   * What is to be created is looked for first, by whoever asks, as anybody may read it; the owner looks again where two may create the same.
   * @returns a refusal; null where it isn't there
   */
  private async refuseExisting({ reads }: Endpoint, { params }: RouteInput, command: CommandContext): Promise<Outcome | null> {
    const look = { ...command, id: newId(), requestHash: '', ifMatch: undefined, onlyNew: undefined };
    const found = reads ? await this.forward(reads, { params, query: {}, body: {} } as RouteInput, look) : null;
    if (found?.rendered.status === 404) return null;
    if (found !== null && found.rendered.status >= 300) return found;
    const error = new DomainError('precondition.failed', { detail: 'The resource is there already, and If-None-Match: * only creates' });
    return { rendered: renderProblem(error, command.traceparent), code: error.code };
  }

  /** Never rejects: a refusal is an outcome too. */
  private async forward(endpoint: Endpoint, input: RouteInput, command: CommandContext): Promise<Outcome> {
    const asked = (input.params as { tenantId?: string }).tenantId;
    try {
      const answer = await this.answer(endpoint, input, command);
      return { rendered: renderAnswer(endpoint, answer), secret: answer.secret, tenantId: asked ?? answer.position?.tenantId };
    } catch (error) {
      if (!(error instanceof DomainError)) this.logger.error({ err: error, endpoint: endpoint.id }, 'an answer could not be made');
      const rendered = renderProblem(error, command.traceparent, endpoint.fieldNames);
      return { rendered, code: error instanceof DomainError ? error.code : 'internal.error' };
    }
  }

  private async answer(endpoint: Endpoint, input: RouteInput, command: CommandContext): Promise<Answer & { stale?: boolean }> {
    const asked = (input.params as { tenantId?: string }).tenantId;
    const isChange = endpoint.method !== 'GET';
    try {
      // Where it dies with a question, there is nothing that could be half done.
      if (isChange) await faultPoint('forward.before');
      // A change is not begun where the tenant is gone; a question is asked meanwhile, and its answer thrown away.
      const look = this.refuseErased(endpoint, asked);
      if (isChange) await look;
      const [answer] = await Promise.all([this.rpc.forward(endpoint.route, input, command), look]);
      if (isChange) await faultPoint('forward.done');
      return answer;
    } catch (refusal) {
      throw await this.ofErased(endpoint, refusal, asked);
    }
  }

  /** Of an erased tenant there is nothing, whatever its log, or rows that are kept, would still say. @throws DomainError `tenant.deleted` */
  private async refuseErased({ route }: Endpoint, tenantId: string | undefined): Promise<void> {
    if (tenantId === undefined || route.ofErased) return;
    if (await this.isErased(tenantId)) throw new DomainError('tenant.deleted', { detail: erased(tenantId) });
  }

  /** The same of a refusal: it may be quicker than the look, or the erasure than both. */
  private async ofErased({ route }: Endpoint, error: unknown, tenantId: string | undefined): Promise<unknown> {
    if (tenantId === undefined || route.ofErased || !(error instanceof DomainError)) return error;
    if (![404, 409, 410].includes(errorCodes[error.code].status)) return error;
    return (await this.isErased(tenantId)) ? new DomainError('tenant.deleted', { detail: erased(tenantId), cause: error }) : error;
  }

  /** Where it can't be known, the owner's word stands. */
  private async isErased(tenantId: string): Promise<boolean> {
    try {
      return (await this.gate.access(tenantId)) === 'deleted';
    } catch (unknown) {
      this.logger.debug({ err: unknown, tenantId }, 'it is not known whether a tenant was erased');
      return false;
    }
  }

  private async minPosition({ exchange, headers }: FastifyRequest): Promise<CommandContext['minPosition']> {
    const position = parseMinPosition(one(headers['tenantry-min-position']));
    const own = exchange.principal.tenantId;
    // Of another tenant it may only be where that is a child: what was just created is looked for in the list of children.
    if (position && own !== undefined && position.tenantId !== own && (await this.gate.parentOf(position.tenantId)) !== own)
      throw new DomainError('tenant.not_found');
    return position;
  }
}

const rawInput = (endpoint: Endpoint, { exchange, params, query }: FastifyRequest, own: Partial<RouteInput>): RouteInput => {
  const asked = validated({ ...endpoint, query: undefined, body: undefined }, { params, query, body: undefined });
  return routeInput(endpoint, { ...asked, ...own }, exchange.tenantId);
};

const erased = (tenantId: string) => `The tenant was erased: see /api/v1/platform/tenants/${tenantId}/erasure-certificate`;

const one = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header.join() : header);

const context = ({ exchange, ip, headers }: FastifyRequest): Omit<CommandContext, 'id' | 'requestHash'> => ({
  principal: exchange.principal,
  ip: ip.startsWith('::ffff:') ? ip.slice('::ffff:'.length) : ip,
  userAgent: headers['user-agent']?.slice(0, 500),
  traceparent: exchange.traceparent,
  correlationId: exchange.requestId,
});

/** Of what is asked for, not of how it was written: the same JSON with other spaces is the same request. */
const hashOf = (endpoint: Endpoint, input: RouteInput): string =>
  createHash('sha256')
    .update(canonicalJson([endpoint.id, input.params, input.query, input.body]))
    .digest('hex');
