import 'reflect-metadata';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Controller, type INestMicroservice, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DomainError } from '@tenantry/contracts/errors';
import { operation, type Principal, route, type ServiceName } from '@tenantry/contracts/route';
import { newTokenKeys, TokenSigner, TokenVerifier } from '@tenantry/crypto/token';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Caller } from '@tenantry/messaging/rpc';
import { NatsRpcClient } from '@tenantry/messaging/rpc-client';
import { currentContext } from '@tenantry/observability/context';
import { createLogger } from '@tenantry/observability/logger';
import { type RunningNats, startNats } from '@tenantry/testing/nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { RpcServer } from './rpc-server.js';

const greet = operation({
  name: 'people.greet',
  owner: 'billing',
  callers: ['provisioning'],
  input: z.object({ name: z.string().min(1) }),
  output: z.object({ text: z.string() }),
});
const fail = operation({ ...greet, name: 'people.fail', input: z.object({ how: z.enum(['domain', 'bug', 'database', 'slow']) }) });
const whoami = operation({ ...greet, name: 'people.whoami', addressed: true, input: z.object({}) });
const readThing = route({
  name: 'things.read',
  summary: 'A thing',
  owner: 'billing',
  tag: 'Things',
  scope: 'tenant',
  permission: 'thing:read',
  method: 'GET',
  path: '/things/:tenantId',
  params: z.strictObject({ tenantId: z.uuid() }),
  query: z.strictObject({ limit: z.coerce.number().int().max(10).optional() }),
  answers: { 200: z.object({ tenantId: z.string(), who: z.string(), trace: z.string() }) },
});

@Controller()
class People {
  @Handles(greet)
  greet({ name }: z.infer<typeof greet.input>, caller: Caller): z.infer<typeof greet.output> {
    return { text: `${caller.service} greets ${name}` };
  }
  @Handles(whoami)
  whoami(_input: z.infer<typeof whoami.input>, caller: Caller): z.infer<typeof whoami.output> {
    return { text: `known to ${caller.service}` };
  }
  @Handles(fail)
  async fail({ how }: z.infer<typeof fail.input>) {
    if (how === 'slow') await sleep(300);
    if (how === 'database') throw Object.assign(new Error('connection refused at 10.0.0.1'), { code: 'ECONNREFUSED' });
    if (how === 'bug') throw new Error('secret insides');
    if (how === 'domain') throw new DomainError('domain.taken', { detail: 'taken', extensions: { host: 'a.example' } });
    return { text: 'late' };
  }
  @Handles(readThing)
  async read({ params, command }: Call<typeof readThing>) {
    return { status: 200, body: { tenantId: params.tenantId, who: command.principal.id, trace: currentContext()?.traceparent ?? '' } };
  }
}
@Module({ controllers: [People] })
class Root {}

const tenantA = '11111111-1111-4111-8111-111111111111';
const tenantB = '22222222-2222-4222-8222-222222222222';
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const command = { id: 'c', requestHash: 'h', traceparent };
const keys = newTokenKeys();
const signer = new TokenSigner(keys.privateKey);
const lines: string[] = [];

let nats: RunningNats;
let connection: NatsConnection;
let app: INestMicroservice;
const client = (process: ServiceName) =>
  new NatsRpcClient({ connection, process, sign: (principal, audience) => signer.sign(principal, audience) });
const serve = async () => {
  const verifier = new TokenVerifier(keys.publicKey, 'billing');
  const strategy = new RpcServer({
    service: 'billing',
    instance: 'first',
    connection,
    verify: (token) => verifier.verify(token),
    scopeOf: ({ scope }) => (scope === 'platform' ? 'tenant' : scope),
    caughtUp: async ({ position }) => position < 100,
    logger: createLogger({ service: 'billing', destination: { write: (line) => void lines.push(line) } }),
  });
  app = await NestFactory.createMicroservice(Root, { strategy, logger: false });
  await app.listen();
};

beforeAll(async () => {
  nats = await startNats({ jetstream: false });
  connection = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  await serve();
});
afterAll(() => nats.stop());

describe('an operation', () => {
  it('is answered, and told who calls', async () => {
    await expect(client('provisioning').call(greet, { name: 'Ada' })).resolves.toEqual({ text: 'provisioning greets Ada' });
  });
  it('may be asked of one process by its name, and reaches no other', async () => {
    const provisioning = client('provisioning');
    expect(await provisioning.call(whoami, {}, { at: 'first' })).toEqual({ text: 'known to provisioning' });
    for (const at of ['second', undefined])
      await expect(provisioning.call(whoami, {}, { at, timeoutMs: 200 })).rejects.toMatchObject({ code: 'service.unavailable' });
    await expect(client('audit').call(whoami, {}, { at: 'first' })).rejects.toMatchObject({ code: 'auth.forbidden' });
  });
  it('is refused to a process that may not call it', async () => {
    await expect(client('audit').call(greet, { name: 'Ada' })).rejects.toMatchObject({ code: 'auth.forbidden' });
  });
  it('is refused with every fault of its input', async () => {
    await expect(client('provisioning').call(greet, { name: '' })).rejects.toMatchObject({
      code: 'request.invalid',
      errors: [{ field: 'name', rule: 'min_length' }],
    });
  });
  it('hands a DomainError on as it is', async () => {
    await expect(client('provisioning').call(fail, { how: 'domain' })).rejects.toMatchObject({
      code: 'domain.taken',
      detail: 'taken',
      extensions: { host: 'a.example' },
    });
  });
  it('says nothing of its insides to the caller, and everything to the log, once', async () => {
    lines.length = 0;
    const error = await client('provisioning')
      .call(fail, { how: 'bug' }, { traceparent })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'internal.error' });
    expect(JSON.stringify(error)).not.toContain('secret');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'error',
      traceId: traceparent.slice(3, 35),
      err: { message: 'secret insides' },
    });
  });
  it('is unavailable while the database is away', async () => {
    await expect(client('provisioning').call(fail, { how: 'database' })).rejects.toMatchObject({ code: 'service.unavailable' });
  });
  it('times out', async () => {
    await expect(client('provisioning').call(fail, { how: 'slow' }, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'service.timeout' });
  });
});

describe('an operation whose answer is late', () => {
  it('is asked again where the caller wants that', async () => {
    const once = client('provisioning').call(fail, { how: 'slow' }, { timeoutMs: 1_000, askAgainAfterMs: 150 });
    await expect(once).rejects.toMatchObject({ code: 'service.timeout' });
    await expect(client('provisioning').call(fail, { how: 'slow' }, { timeoutMs: 1_000, askAgainAfterMs: 400 })).resolves.toEqual({
      text: 'late',
    });
  });
});

describe('a route', () => {
  const staff: Principal = { kind: 'staff', id: 'admin', permissions: ['*'] };
  const ofA: Principal = { kind: 'api-key', id: 'key-a', tenantId: tenantA, permissions: ['thing:*'] };
  const ask = (principal: Principal, tenantId = tenantA, from: ServiceName = 'gateway', more = {}) =>
    client(from).forward(readThing, { params: { tenantId }, query: {}, body: {} } as never, { ...command, principal, ...more });

  it("is answered for staff and for the tenant's own credentials, in the same trace", async () => {
    await expect(ask(staff)).resolves.toMatchObject({ status: 200, body: { tenantId: tenantA, who: 'admin' } });
    const { body } = (await ask(ofA)) as { body: { who: string; trace: string } };
    expect(body.who).toBe('key-a');
    expect(body.trace.slice(0, 35)).toBe(traceparent.slice(0, 35));
    expect(body.trace).not.toBe(traceparent);
  });
  it("is not there for another tenant's credentials, even if the gateway had let them pass", async () => {
    await expect(ask(ofA, tenantB)).rejects.toMatchObject({ code: 'tenant.not_found' });
  });
  it('is refused without the permission', async () => {
    await expect(ask({ ...ofA, permissions: ['other:read'] })).rejects.toMatchObject({ code: 'auth.forbidden' });
  });
  it('is refused to everybody but the gateway, and without a genuine token', async () => {
    await expect(ask(staff, tenantA, 'provisioning')).rejects.toMatchObject({ code: 'auth.forbidden' });
    const forger = new TokenSigner(newTokenKeys().privateKey);
    const forged = new NatsRpcClient({ connection, process: 'gateway', sign: (principal, audience) => forger.sign(principal, audience) });
    await expect(
      forged.forward(readThing, { params: { tenantId: tenantA }, query: {}, body: {} } as never, { ...command, principal: staff }),
    ).rejects.toMatchObject({ code: 'auth.unauthenticated' });
  });
  it('validates again', async () => {
    await expect(ask(staff, 'no-uuid')).rejects.toMatchObject({ code: 'request.invalid', errors: [{ field: 'tenantId', rule: 'uuid' }] });
  });
  it('says when its read models had not caught up', async () => {
    expect(await ask(staff, tenantA, 'gateway', { minPosition: { tenantId: tenantA, position: 5 } })).not.toHaveProperty('stale');
    expect(await ask(staff, tenantA, 'gateway', { minPosition: { tenantId: tenantA, position: 500 } })).toHaveProperty('stale', true);
  });
});

describe('a restart of the service', () => {
  it('finishes the calls that run, and is waited for by those that come meanwhile', async () => {
    const running = client('provisioning').call(fail, { how: 'slow' });
    await sleep(50);
    await app.close();
    await expect(running).resolves.toEqual({ text: 'late' });
    const waiting = client('provisioning').call(greet, { name: 'Bob' }, { timeoutMs: 5_000 });
    await sleep(200);
    await serve();
    await expect(waiting).resolves.toEqual({ text: 'provisioning greets Bob' });
  });
  it('is given up after the timeout', async () => {
    const absent = { ...greet, owner: 'relay' as const };
    await expect(client('provisioning').call(absent, { name: 'Bob' }, { timeoutMs: 200 })).rejects.toMatchObject({
      code: 'service.unavailable',
    });
  });
});

describe('a broker that is killed', () => {
  it('is asked again when it is back: its answer is late, not lost', async () => {
    const provisioning = client('provisioning');
    const running = provisioning.call(fail, { how: 'slow' });
    await sleep(100);
    nats.child.kill('SIGKILL');
    await once(nats.child, 'exit');
    const meanwhile = provisioning.call(greet, { name: 'Eve' });
    const again = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(nats.port)], { stdio: 'ignore' });
    try {
      await expect(running).resolves.toEqual({ text: 'late' });
      await expect(meanwhile).resolves.toEqual({ text: 'provisioning greets Eve' });
    } finally {
      await app.close();
      await connection.close();
      again.kill('SIGKILL');
    }
  });
});
