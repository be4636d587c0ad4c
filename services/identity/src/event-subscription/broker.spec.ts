import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAccount, createOperator } from '@nats-io/nkeys';
import type { NatsConnection } from '@nats-io/transport-node';
import { createLogger } from '@tenantry/observability/logger';
import { temporaryFolder } from '@tenantry/testing/tmp';
import { describe, expect, it } from 'vitest';
import { platform } from '../testing/platform.js';
import { Broker } from './broker.js';
import { Signer } from './signer.js';
import type { SubscriptionTable } from './subscription-table.js';

const { log, environment } = platform();
const open = (values: Parameters<typeof environment>[0]) =>
  Broker.open({
    environment: environment({ TENANTRY_NATS_URL: 'nats://inside:4222', ...values }),
    nats: {} as NatsConnection,
    log,
    table: {} as SubscriptionTable,
    logger: createLogger({ service: 'test', level: 'fatal' }),
  });

describe('the broker of event subscriptions', () => {
  it('says what is missing where this installation has no keys of it', async () => {
    const broker = await open({ TENANTRY_NATS_OPERATOR_SEED_FILE: '/nowhere' });
    expect(broker.configured).toBe(false);
    expect(() => broker.provisioner).toThrow(
      expect.objectContaining({
        code: 'event_subscription.not_configured',
        detail: expect.stringContaining('TENANTRY_NATS_SYSTEM_CREDS_FILE'),
      }),
    );
  });

  it('is where subscribers reach it', async () => {
    expect((await open({})).natsUrl).toBe('nats://inside:4222');
    expect((await open({ TENANTRY_PUBLIC_NATS_URL: 'tls://events.example.com:4222' })).natsUrl).toBe('tls://events.example.com:4222');
  });

  it('does not show a seed that it cannot use', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'seed');
    const seed = new TextDecoder().decode(createAccount().getSeed());
    await writeFile(file, seed);
    const files = { TENANTRY_NATS_OPERATOR_SEED_FILE: file, TENANTRY_NATS_PLATFORM_SEED_FILE: file, TENANTRY_NATS_SYSTEM_CREDS_FILE: file };
    const failure = await open(files).catch((error: Error) => error);
    expect(failure).toBeInstanceOf(Error);
    expect((failure as Error).message).toContain('TENANTRY_NATS_OPERATOR_SEED_FILE: the file holds no seed of an operator');
    expect(`${(failure as Error).stack}${(failure as Error).cause}`).not.toContain(seed);
  });

  it('shows nothing of its keys when it is written down', () => {
    const text = (key: { getSeed(): Uint8Array }) => new TextDecoder().decode(key.getSeed());
    const [operator, platformKey] = [text(createOperator()), text(createAccount())];
    const signer = new Signer({ operator, platform: platformKey });
    for (const seed of [operator, platformKey]) expect(JSON.stringify(signer)).not.toContain(seed);
  });
});
