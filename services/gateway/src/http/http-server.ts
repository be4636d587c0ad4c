import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { type BeforeApplicationShutdown, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { authenticate } from '@tenantry/contracts/identity/operations';
import { faces, routes } from '@tenantry/contracts/registry';
import type { Principal } from '@tenantry/contracts/route';
import { RpcClient } from '@tenantry/messaging/rpc';
import { isTransient } from '@tenantry/messaging/sql';
import { runWith } from '@tenantry/observability/context';
import { Logger } from '@tenantry/observability/logger';
import { histogram } from '@tenantry/observability/metrics';
import { childTraceparent } from '@tenantry/observability/traceparent';
import { traced } from '@tenantry/observability/tracing';
import { denial } from '@tenantry/service/authorize';
import { Environment } from '@tenantry/service/environment';
import { MaintenanceGate } from '@tenantry/service/maintenance-gate';
import { TenantGate } from '@tenantry/service/tenant-gate';
import { TenantRequests } from '@tenantry/service/tenant-requests';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { asyncApiDocument } from '../asyncapi/document.js';
import { asDocument, eventSchemas } from '../asyncapi/event-schemas.js';
import { Authenticator } from '../auth/authenticator.js';
import { openApiDocument } from '../openapi/document.js';
import { documentPage } from '../openapi/page.js';
import { OperationEvents } from '../operation-events/progress-streams.js';
import { Downloads } from '../transfer/downloads.js';
import { Uploads } from '../transfer/uploads.js';
import { demandBody, leaveBody } from './body-deadline.js';
import { type Endpoint, endpointsOf } from './endpoint.js';
import type { Exchange } from './exchange.js';
import { Forwarder } from './forwarder.js';
import { isUuid, normalized, parseJson } from './input.js';
import { JSON_TYPE, type Rendered, renderProblem } from './rendered.js';

const BODY_LIMIT = 1024 * 1024;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
const ANONYMOUS: Principal = { kind: 'anonymous', id: 'anonymous', permissions: [] };
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
};

const served = histogram('tenantry_http_seconds', 'Requests served, by route, method and status', ['route', 'method', 'status']);

/** The only HTTP that users reach. Every route comes from the registry: an endpoint more is no code more here. */
@Injectable()
export class HttpServer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly app: FastifyInstance;
  private readonly authenticator: Authenticator;
  private readonly tenantRequests: TenantRequests;

  constructor(
    private readonly environment: Environment,
    private readonly forwarder: Forwarder,
    private readonly operationEvents: OperationEvents,
    private readonly gate: TenantGate,
    private readonly maintenance: MaintenanceGate,
    private readonly uploads: Uploads,
    private readonly downloads: Downloads,
    rpc: RpcClient,
    private readonly logger: Logger,
  ) {
    this.tenantRequests = new TenantRequests(environment.values.TENANTRY_TENANT_REQUESTS);
    this.authenticator = new Authenticator({
      lookUp: async (keyHash) => (await rpc.call(authenticate, { keyHash }, { askAgainAfterMs: 1_500 })).principal,
    });
    this.app = fastify({
      bodyLimit: BODY_LIMIT,
      trustProxy: environment.values.TENANTRY_TRUST_PROXY ?? false,
      logger: false,
      // Connections of clients that wait for nothing are closed at once when we go; the others after their answer.
      forceCloseConnections: 'idle',
      return503OnClosing: false,
      keepAliveTimeout: 65_000,
      // Uploads last as long as they last: `demandBody` has the deadline of the others.
      requestTimeout: 0,
      routerOptions: { ignoreTrailingSlash: true, maxParamLength: 2_000 },
      // fast-querystring's: the last word on `__proto__` and repeated names has the validation.
      frameworkErrors: (_error, request, reply) => {
        this.begin(request);
        void this.sendProblem(request, reply, new DomainError('request.malformed', { detail: 'The path is not valid' }));
      },
      clientErrorHandler: (error, socket) => refuseUnreadable(error, socket),
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    const endpoints = endpointsOf(routes, faces);
    this.hooks();
    this.parsers();
    for (const endpoint of endpoints) if (endpoint.route.raw === undefined) this.serve(endpoint);
    // Apart, because nothing reads their bodies but whoever works on them.
    await this.app.register(async (scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', (_request, _body, done) => done(null, undefined));
      for (const endpoint of endpoints) if (endpoint.route.raw !== undefined) this.serveContent(scope, endpoint);
    });
    this.ownPages(endpoints);
    this.otherMethods(endpoints);
    const { TENANTRY_HTTP_HOST: host, TENANTRY_PORT: port } = this.environment.values;
    const address = await this.app.listen({ host, port });
    this.logger.info({ address, endpoints: endpoints.length }, 'listening');
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.operationEvents.endAll();
    this.uploads.endAll();
    this.downloads.endAll();
    await this.app.close();
  }

  private hooks(): void {
    this.app.decorateRequest('exchange', null as never);
    this.app.addHook('onRequest', (request, reply, done) => {
      this.begin(request);
      reply.headers(SECURITY_HEADERS);
      reply.header('x-request-id', request.exchange.requestId);
      reply.header('traceparent', request.exchange.traceparent);
      if ((request.routeOptions.config as RouteConfig | undefined)?.raw === undefined)
        demandBody(request, () => refuseUnreadable(Object.assign(new Error(), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), request.raw.socket));
      done();
    });
    this.app.addHook('onResponse', (request, reply, done) => {
      leaveBody(request);
      const route = (request.routeOptions.config as RouteConfig | undefined)?.id ?? 'unknown';
      const seconds = (performance.now() - request.exchange.startedMs) / 1000;
      served.observe({ route, method: request.method, status: reply.statusCode }, seconds);
      this.logger.debug(
        { route, method: request.method, status: reply.statusCode, seconds, requestId: request.exchange.requestId },
        'served',
      );
      done();
    });
    this.app.setErrorHandler((error, request, reply) => this.sendProblem(request, reply, known(error, request)));
    this.app.setNotFoundHandler((request, reply) =>
      this.sendProblem(request, reply, new DomainError('request.not_found', { detail: 'There is nothing at this path' })),
    );
  }

  private begin(request: FastifyRequest): void {
    const given = request.headers['x-request-id'];
    const parent = request.headers['traceparent'];
    const exchange: Exchange = {
      requestId: typeof given === 'string' && /^[A-Za-z0-9._:-]{1,128}$/.test(given) ? given : randomUUID(),
      traceparent: childTraceparent(typeof parent === 'string' ? parent : undefined),
      startedMs: performance.now(),
      principal: ANONYMOUS,
    };
    request.exchange = exchange;
  }

  private parsers(): void {
    this.app.removeAllContentTypeParsers();
    this.app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
      try {
        done(null, parseJson(body));
      } catch (error) {
        done(error as Error);
      }
    });
    // `curl -d ''` names a type for nothing.
    this.app.addContentTypeParser<Buffer>('*', { parseAs: 'buffer' }, (_request, body, done) => {
      if (body.length === 0) done(null, undefined);
      else done(new DomainError('request.unsupported_media_type', { detail: 'Send the body as application/json' }));
    });
  }

  private serve(endpoint: Endpoint): void {
    this.app.route({
      method: endpoint.method,
      url: endpoint.path,
      config: { id: endpoint.id } as never,
      // Before the body is read: who may not ask needn't send it.
      onRequest: (request) => this.authorize(endpoint, request),
      handler: async (request, reply) => {
        const { traceparent, tenantId, principal } = request.exchange;
        const handle = () => this.forwarder.handle(endpoint, request);
        const rendered = await runWith({ traceparent, tenantId }, () =>
          traced(`${endpoint.method} ${endpoint.path}`, {}, () =>
            principal.tenantId === undefined ? handle() : this.tenantRequests.within(principal.tenantId, handle),
          ),
        );
        return send(reply, rendered);
      },
    });
  }

  /** A file as it is, in the request or in the answer. It may take hours: it is no request that others of the tenant wait behind. */
  private serveContent(scope: FastifyInstance, endpoint: Endpoint): void {
    const { raw } = endpoint.route;
    scope.route({
      method: endpoint.method,
      url: endpoint.path,
      config: { id: endpoint.id, raw } as never,
      onRequest: (request) => this.authorize(endpoint, request),
      handler: async (request, reply) => {
        const { traceparent, tenantId } = request.exchange;
        const stillAllowed = () => this.authorize(endpoint, request);
        return runWith({ traceparent, tenantId }, async () =>
          raw === 'upload'
            ? send(reply, await this.uploads.receive(endpoint, request, stillAllowed))
            : this.downloads.send(endpoint, request, reply, stillAllowed),
        );
      },
    });
  }

  /** @throws DomainError when the credentials are missing, wrong, or not enough */
  private async authorize(endpoint: Endpoint, request: FastifyRequest): Promise<void> {
    const { exchange, headers } = request;
    const params = normalized(request.params as Record<string, string>);
    if (endpoint.scope === 'public') return;
    const known = await this.authenticator.authenticate(headers.authorization, request.ip);
    const principal = await this.withChild(known, endpoint.ownTenant ? undefined : params['tenantId']);
    exchange.principal = principal;
    if (endpoint.ownTenant && principal.tenantId === undefined) throw new DomainError('auth.no_tenant');
    exchange.tenantId = endpoint.ownTenant ? principal.tenantId : params['tenantId'];
    const refusal = denial(principal, { scope: endpoint.scope, permission: endpoint.permission, tenantId: exchange.tenantId });
    if (refusal) throw refusal;
    // The platform acts on suspended tenants, and on those under maintenance unless it comes by their own surface; they themselves don't.
    if (principal.tenantId === undefined) {
      if (endpoint.face && exchange.tenantId !== undefined) await this.maintenance.pass(exchange.tenantId);
      return;
    }
    await this.gate.pass(principal.tenantId);
    if (principal.childId !== undefined) await this.gate.passToChild(principal.childId, principal.tenantId);
    await this.maintenance.pass(principal.tenantId, ...(exchange.tenantId === undefined ? [] : [exchange.tenantId]));
    this.tenantRequests.refuseExcess(principal.tenantId);
  }

  /** Says of a tenant's credentials whether the tenant that is asked for is a child of theirs. */
  private async withChild(principal: Principal, asked: string | undefined): Promise<Principal> {
    const { tenantId } = principal;
    // What is no id can be no child: it is refused with the rest of the request.
    if (tenantId === undefined || asked === undefined || asked === tenantId || !isUuid(asked)) return principal;
    return (await this.gate.parentOf(asked)) === tenantId ? { ...principal, childId: asked } : principal;
  }

  private ownPages(endpoints: Endpoint[]): void {
    const document = openApiDocument(endpoints);
    const json = JSON.stringify(document);
    const page = documentPage(document);
    this.app.get('/openapi.json', (_request, reply) =>
      send(reply, { status: 200, headers: { 'content-type': JSON_TYPE, 'cache-control': 'public, max-age=60' }, body: json }),
    );
    this.eventPages();
    this.app.get('/docs', (_request, reply) =>
      send(reply, {
        status: 200,
        headers: {
          'content-type': 'text/html; charset=utf-8',
          'cache-control': 'public, max-age=60',
          'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        },
        body: page,
      }),
    );
    this.app.get('/healthz', (_request, reply) =>
      send(reply, { status: 200, headers: { 'content-type': JSON_TYPE }, body: '{"status":"ok"}' }),
    );
    const progress = endpoints.find(({ route, face }) => face === null && route.name === 'operations.get');
    if (!progress) throw new Error('the registry has no operations.get');
    this.app.route({
      method: 'GET',
      url: `${progress.path}/events`,
      exposeHeadRoute: false,
      config: { id: 'operations.events' } as never,
      onRequest: (request) => this.authorize(progress, request),
      handler: (request, reply) => this.operationEvents.stream(progress, request, reply, () => this.authorize(progress, request)),
    });
  }

  /** The events on the bus, for whoever subscribes to them. */
  private eventPages(): void {
    const schemas = eventSchemas();
    const page = (body: string): Rendered => ({
      status: 200,
      headers: { 'content-type': JSON_TYPE, 'cache-control': 'public, max-age=60' },
      body,
    });
    const document = page(JSON.stringify(asyncApiDocument(schemas)));
    this.app.get('/asyncapi.json', (_request, reply) => send(reply, document));
    const documents = new Map(schemas.map((schema) => [`${schema.name}.json`, page(JSON.stringify(asDocument(schema)))]));
    this.app.get<{ Params: { file: string } }>('/schemas/events/:file', (request, reply) => {
      const found = documents.get(request.params.file);
      if (!found) throw new DomainError('request.not_found', { detail: 'There is no such event schema: /asyncapi.json names all of them' });
      return send(reply, found);
    });
  }

  /** For every path, the methods that it hasn't: 405, and OPTIONS says which it has. */
  private otherMethods(endpoints: Endpoint[]): void {
    const paths = new Map<string, Set<string>>([
      ['/openapi.json', new Set(['GET'])],
      ['/asyncapi.json', new Set(['GET'])],
      ['/schemas/events/:file', new Set(['GET'])],
      ['/docs', new Set(['GET'])],
      ['/healthz', new Set(['GET'])],
      ['/api/v1/platform/operations/:operationId/events', new Set(['GET'])],
    ]);
    for (const { path, method } of endpoints) {
      const methods = paths.get(path) ?? new Set();
      paths.set(path, methods.add(method));
    }
    for (const [url, methods] of paths) {
      if (methods.has('GET')) methods.add('HEAD');
      const allow = [...methods, 'OPTIONS'].join(', ');
      const others = METHODS.filter((method) => !methods.has(method) && method !== 'OPTIONS' && !this.app.hasRoute({ url, method }));
      this.app.route({ method: 'OPTIONS', url, handler: (_request, reply) => send(reply, { status: 204, headers: { allow }, body: '' }) });
      this.app.route({
        method: others,
        url,
        // The body, if any, is of no interest.
        onRequest: async (_request, reply) => {
          reply.header('allow', allow);
          throw new DomainError('request.method_not_allowed', { detail: `Allowed here: ${allow}` });
        },
        handler: () => undefined,
      });
    }
  }

  private sendProblem(request: FastifyRequest, reply: FastifyReply, error: unknown): FastifyReply {
    const { traceparent, requestId } = request.exchange;
    if (!(error instanceof DomainError)) this.logger.error({ err: error, requestId, path: request.url.slice(0, 500) }, 'a request failed');
    return send(reply, renderProblem(error, traceparent));
  }
}

type RouteConfig = { id?: string; raw?: 'upload' | 'download' };

const send = (reply: FastifyReply, { status, headers, body }: Rendered): FastifyReply =>
  reply
    .code(status)
    .headers(headers)
    .send(body === '' ? undefined : body);

/** Fastify's own refusals, as ours; and what our own database did while it was away. */
function known(error: unknown, request: FastifyRequest): unknown {
  if (error instanceof DomainError) return error;
  const { code } = error as { code?: string };
  // The same code for the connection of somebody who sends half a body, and for our own connections.
  if (code === 'ECONNRESET' && !request.raw.complete) return cutShort(error);
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new DomainError('request.too_large', { detail: `The body may have ${BODY_LIMIT} bytes` });
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new DomainError('request.unsupported_media_type', { detail: 'Send the body as application/json' });
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return cutShort(error);
    default:
      return isTransient(error) ? new DomainError('service.unavailable', { retryAfterSeconds: 1, cause: error }) : error;
  }
}

const cutShort = (error: unknown) =>
  new DomainError('request.malformed', { detail: 'The body is shorter or longer than Content-Length says', cause: error });

/** What isn't HTTP, or more headers than anyone needs. There is no request to answer: the socket is. */
function refuseUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [status, reason] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'The headers are too large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'The request took too long']
        : ['400 Bad Request', 'The request is not valid HTTP'];
  const { body } = renderProblem(new DomainError('request.malformed', { detail: reason }), undefined);
  const text = body.replace('"status":400', `"status":${status?.slice(0, 3)}`);
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/problem+json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
}
