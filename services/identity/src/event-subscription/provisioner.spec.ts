import { createAccount, createOperator } from '@nats-io/nkeys';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import { platform, request } from '../testing/platform.js';
import { platformExports } from './account.js';
import { labelOf } from './beginning.js';
import type { Beginning, ConsumerState, Consumers } from './consumers.js';
import { create, eventSubscription, streamOf } from './event-subscription.js';
import { Provisioner } from './provisioner.js';
import type { Resolver } from './resolver.js';
import { Signer } from './signer.js';
import type { Progress, SubscriptionTable } from './subscription-table.js';

const subscriptionId = 'b6f1c0de-0000-4000-8000-000000000001';
const before = '2026-01-01T00:00:00.000Z';
const after = '2026-02-01T00:00:00.000Z';
const old: Progress = {
  ...{ consumer: 'es_b6f1c0de000040008000000000000001_0', subscriptionId, generation: 1 },
  ...{ streamCreated: before, acknowledged: 40, acknowledgedUntil: null },
};
const text = (key: { getSeed(): Uint8Array }) => new TextDecoder().decode(key.getSeed());

/** A broker whose stream is made anew as soon as that has been asked of it. */
async function broker(remadeAt: 'never' | 'find' | 'create', has: Partial<ConsumerState> | null = null) {
  const { log } = platform();
  await log.transact(
    eventSubscription,
    { tenant: PLATFORM_LOG, stream: streamOf(subscriptionId), command: request() },
    create({
      ...{ subscriptionId, name: 'warehouse', tenants: 'all', contexts: 'all', types: null },
      ...{ from: 'first', startsAt: null, account: createAccount().getPublicKey(), createdAt: before },
    }),
  );
  let stream = before;
  const asked = (what: typeof remadeAt) => {
    if (what === remadeAt) stream = after;
  };
  const made = new Map<string, Beginning>();
  const remembered: Progress[] = [];
  const issued: unknown[] = [];
  const consumers: Partial<Consumers> = {
    created: async () => stream,
    find: async (name) => {
      asked('find');
      return has === null
        ? null
        : ({ ...{ name, label: 'another', delivered: 70, acknowledged: 70, unacknowledged: 0 }, ...has } as ConsumerState);
    },
    create: async (name, _label, _filter, beginning) => {
      asked('create');
      made.set(name, beginning);
      return { name, delivered: 0 } as ConsumerState;
    },
    remove: async (name) => {
      made.delete(name);
    },
  };
  const table: Partial<SubscriptionTable> = {
    lease: async () => ({ untilMs: Number.POSITIVE_INFINITY, release: async () => undefined }),
    credentials: async () => [],
    progress: async () => new Map([[old.consumer, old]]),
    remember: async (seen) => void remembered.push(...seen),
    issue: async (_id, _credentials, _key, of) => issued.push(of) > 0,
  };
  const resolver: Partial<Resolver> = {
    find: async (sub) => ({ name: '', sub, iat: 0, nats: { exports: platformExports } as never }),
    push: async () => undefined,
  };
  const signer = new Signer({ operator: text(createOperator()), platform: text(createAccount()) });
  const provisioner = new Provisioner(log, table as SubscriptionTable, consumers as Consumers, resolver as Resolver, signer);
  const issue = (expiresAt: string | null) => provisioner.issue(PLATFORM_LOG, subscriptionId, 1, expiresAt);
  return { provision: () => provisioner.provision(PLATFORM_LOG, subscriptionId), issue, issued, made, remembered };
}
const anew = { code: 'event_subscription.broker_unavailable' };

describe('a consumer that is missing', () => {
  it('begins after what was acknowledged in the stream', async () => {
    const { provision, made, remembered } = await broker('never');
    await provision();
    expect([...made.values()]).toEqual([{ policy: 'by_start_sequence', seq: 41 }]);
    expect(remembered).toMatchObject([{ streamCreated: before }]);
  });

  it.each(['find', 'create'] as const)('is not left in a stream that was made anew meanwhile (%s)', async (when) => {
    const { provision, made, remembered } = await broker(when);
    await expect(provision()).rejects.toMatchObject(anew);
    expect([made.size, remembered]).toEqual([0, []]);
    // The next attempt knows the new stream: nothing in it was acknowledged.
    await provision();
    expect([...made.values()]).toEqual([{ policy: 'all' }]);
    expect(remembered).toMatchObject([{ streamCreated: after }]);
  });
});

describe('a consumer that is to be made again', () => {
  it('hands what it reached on', async () => {
    const { provision, remembered } = await broker('never', {
      label: labelOf({ subscriptionId, start: { generation: 1 }, credentials: 0 } as never),
    });
    await provision();
    expect(remembered[0]).toMatchObject({ streamCreated: before, acknowledged: 70 });
  });

  it('says nothing of a stream that was made anew meanwhile', async () => {
    const label = labelOf({ subscriptionId, start: { generation: 1 }, credentials: 0 } as never);
    const { provision, remembered } = await broker('find', { label });
    await expect(provision()).rejects.toMatchObject(anew);
    expect(remembered).toEqual([]);
  });
});

describe('credentials', () => {
  /** What the broker reads of them. */
  const claims = (creds: string) => {
    const [, jwt] = /BEGIN NATS USER JWT-+\s+(\S+)/.exec(creds) ?? [];
    return JSON.parse(Buffer.from((jwt as string).split('.')[1] as string, 'base64url').toString()) as { exp?: number };
  };

  it('end with the key that they are issued with, and say so', async () => {
    const { issue, issued } = await broker('never');
    const end = '2099-05-06T07:08:09.900Z';
    const made = await issue(end);
    expect(claims(made.text).exp).toBe(Math.floor(Date.parse(end) / 1000));
    expect(issued).toEqual([made.issued]);
    expect(made.issued).toMatchObject({ expiresAt: end, inboxPrefix: expect.stringMatching(/^_INBOX_/) });
  });

  it('have no end where that has none', async () => {
    const { issue } = await broker('never');
    const made = await issue(null);
    expect(claims(made.text).exp).toBeUndefined();
    expect(made.issued.expiresAt).toBeNull();
  });
});
