import { SystemClock } from '@tenantry/contracts/clock';
import type { StoredEvent } from '@tenantry/contracts/events';
import { authenticate } from '@tenantry/contracts/identity/operations';
import type { Answer, CommandContext, Operation, Principal, Route, RouteInput } from '@tenantry/contracts/route';
import { createApiKey, hashApiKey } from '@tenantry/crypto/api-key';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { RpcClient } from '@tenantry/messaging/rpc';
import { silentLogger } from '@tenantry/observability/logger';
import type { Bus } from '@tenantry/service/bus';
import type { ProcessEnvironment } from '@tenantry/service/config';
import { MaintenanceGate } from '@tenantry/service/maintenance-gate';
import { TenantGate } from '@tenantry/service/tenant-gate';
import { freePort } from '@tenantry/testing/ports';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { Idempotency } from '../idempotency/keyed-requests.js';
import { MemoryFirstRequests } from '../idempotency/memory-first-requests.js';
import { OperationEvents } from '../operation-events/progress-streams.js';
import { Downloads } from '../transfer/downloads.js';
import { Transfers } from '../transfer/transfers.js';
import { Uploads } from '../transfer/uploads.js';
import { Forwarder } from './forwarder.js';
import { HttpServer } from './http-server.js';

export const tenantA = '11111111-1111-4111-8111-11111111abcd';
export const tenantB = '22222222-2222-4222-8222-222222222222';
export const operationId = '33333333-3333-4333-8333-333333333333';
export const staffKey = createApiKey('live').key;
export const keyOfA = createApiKey('live').key;
export const weakKey = createApiKey('live').key;

/** Requests of one tenant in flight. */
export const IN_FLIGHT = 4;
/** Files of one tenant on their way. */
export const TRANSFERS = 2;
/** The gateway's process. */
export const INSTANCE = '44444444-4444-4444-8444-444444444444';

export const tenant = (id: string) => ({
  id,
  name: 'Acme',
  slug: 'acme',
  status: 'pending',
  plan: { id: 'professional', version: 1 },
  version: 3,
  position: 7,
});
/** The owner's answer to a creation. */
export const accepted = () => ({
  status: 202,
  body: { ...tenant(tenantA), operation: { id: operationId, url: `/api/v1/platform/operations/${operationId}` } },
  version: 3,
  position: { tenantId: tenantA, position: 7 },
  location: `/api/v1/platform/operations/${operationId}`,
});

type Forwarded = { route: string; input: RouteInput; command: CommandContext };
class FakeOwners extends RpcClient {
  readonly principals = new Map<string, Principal>([
    [hashApiKey(staffKey), { kind: 'staff', id: 'admin', permissions: ['*'] }],
    [hashApiKey(keyOfA), { kind: 'api-key', id: 'key-a', tenantId: tenantA, permissions: ['*'] }],
    [hashApiKey(weakKey), { kind: 'api-key', id: 'key-weak', tenantId: tenantA, permissions: ['quota:read'] }],
  ]);
  forwarded: Forwarded[] = [];
  answer: (forwarded: Forwarded) => Answer | Promise<Answer> = () => ({ status: 200, body: {} });
  override async call<I, O>(operation: Operation, input: I): Promise<O> {
    if (operation.name !== authenticate.name) throw new Error(operation.name);
    return { principal: this.principals.get((input as { keyHash: string }).keyHash) ?? null } as O;
  }
  override async forward(route: Route, input: RouteInput, command: CommandContext): Promise<Answer> {
    const forwarded = { route: route.name, input: JSON.parse(JSON.stringify(input)), command };
    this.forwarded.push(forwarded);
    return this.answer(forwarded);
  }
}

interface Reply {
  status: number;
  headers: Headers;
  text: string;
  json: any;
}
export interface AskOptions {
  /** null: none. Default: the staff's. */
  key?: string | null;
  body?: unknown;
  headers?: Record<string, string>;
}

/** For specs: the server as users reach it, over services and logs that hold what the spec puts into them. */
export function serveHttp() {
  const owners = new FakeOwners();
  const firsts = new MemoryFirstRequests();
  /** What the tenants' logs hold, for the gate. */
  const life = new Map<string, (string | { type: string; data: object })[]>();
  /** Whose children tenants are. */
  const parents = new Map<string, string>();
  /** What the platform's log says of maintenance, for its gate. */
  const windows: { type: string; data: object }[] = [];
  const gate = new TenantGate({
    maxAgeMs: 0,
    store: {
      readStream: async (tenantId, _stream, options) => ({
        events: (life.get(tenantId) ?? [])
          .map((event, streamVersion) => {
            const { type, data = {} } = typeof event === 'string' ? { type: event } : event;
            const registered = type === 'TenantRegistered' ? { parentId: parents.get(tenantId) } : {};
            return { type, streamVersion, data: { ...registered, ...data } } as unknown as StoredEvent;
          })
          .slice(options?.fromVersion ?? 0),
        command: null,
      }),
    },
  });
  const maintenance = new MaintenanceGate({
    maxAgeMs: 0,
    clock: new SystemClock(),
    store: {
      readStream: async () => ({
        events: [{ type: 'MaintenanceTenantsNamed', data: { tenantIds: [tenantA] } } as unknown as StoredEvent],
        command: null,
      }),
      readLog: async (_log, from) => ({
        events: windows.slice(from).map((event) => ({ ...event, recordedAt: new Date().toISOString() }) as unknown as StoredEvent),
        ...{ scannedTo: windows.length - 1, head: windows.length - 1 },
      }),
    },
  });
  let server: HttpServer;
  let uploads: Uploads;
  let url: string;

  beforeAll(async () => {
    const port = await freePort();
    const environment = {
      values: {
        ...{ TENANTRY_HTTP_HOST: '127.0.0.1', TENANTRY_PORT: port },
        ...{ TENANTRY_TENANT_REQUESTS: IN_FLIGHT, TENANTRY_TENANT_TRANSFERS: TRANSFERS },
      } as ProcessEnvironment,
    };
    const idempotency = new Idempotency(firsts, new MemoryKeyring(), silentLogger);
    const woken = (_subject: string, { callback }: { callback: () => void }) => {
      const timer = setTimeout(callback, 100);
      return { unsubscribe: () => clearTimeout(timer) };
    };
    const bus = { connection: { subscribe: woken }, instance: INSTANCE } as unknown as Bus;
    const forwarder = new Forwarder(owners, idempotency, gate, silentLogger);
    const transfers = new Transfers(environment);
    uploads = new Uploads(forwarder, transfers, bus);
    server = new HttpServer(
      environment,
      forwarder,
      new OperationEvents(owners, bus, silentLogger),
      gate,
      maintenance,
      uploads,
      new Downloads(forwarder, transfers, silentLogger),
      owners,
      silentLogger,
    );
    await server.onApplicationBootstrap();
    url = `http://127.0.0.1:${port}`;
  });
  afterAll(() => server?.beforeApplicationShutdown());
  beforeEach(() => {
    owners.forwarded = [];
    owners.answer = () => ({ status: 200, body: {} });
  });

  /** As it comes, for answers that are streams and requests that are no text. */
  const request = (path: string, init: RequestInit & { headers: Record<string, string> }) => fetch(url + path, init);
  const ask = async (method: string, path: string, { key = staffKey, body, headers = {} }: AskOptions = {}): Promise<Reply> => {
    const response = await request(path, {
      method,
      redirect: 'manual',
      headers: {
        ...(key ? { authorization: `Bearer ${key}` } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : undefined,
    };
  };
  const create = (body: unknown, more: AskOptions = {}) => ask('POST', '/api/v1/platform/tenants', { body, ...more });

  /** As the owner of files reads what is sent. */
  const readUpload = (transferId: string, reader: string, offset: number) => uploads.read(transferId, reader, offset);

  return { owners, firsts, life, parents, windows, request, ask, create, readUpload };
}
