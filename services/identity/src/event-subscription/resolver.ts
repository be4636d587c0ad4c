import { setTimeout as sleep } from 'node:timers/promises';
import { decode } from '@nats-io/jwt';
import { type NatsConnection, NoRespondersError } from '@nats-io/transport-node';
import { DomainError } from '@tenantry/contracts/errors';
import type { AccountClaim } from './signer.js';

const TIMEOUT_MS = 3_000;
const SILENT_MS = 100;
/** Every broker of a cluster answers an update; after the first answer the others have this long. */
const OTHERS_MS = 200;

/** The brokers' account resolver, over a user of the system account. What it has taken, survives the broker. */
export class Resolver {
  constructor(private readonly system: Promise<NatsConnection>) {}

  /** The account as the broker has it; null where it has none. */
  async find(account: string): Promise<AccountClaim | null> {
    const asked = this.ask(`$SYS.REQ.ACCOUNT.${account}.CLAIMS.LOOKUP`, '').then((jwt) => jwt.trim());
    // Of an account that it doesn't have, the broker says nothing at all.
    const missing = sleep(SILENT_MS, null).then(async () => ((await this.has(account)) ? asked : ''));
    const jwt = await Promise.race([asked, missing]);
    asked.catch(() => undefined);
    return jwt === '' ? null : (decode(jwt) as unknown as AccountClaim);
  }

  private async has(account: string): Promise<boolean> {
    const { data } = JSON.parse(await this.ask('$SYS.REQ.CLAIMS.LIST', '')) as { data?: string[] };
    return data?.includes(account) ?? false;
  }

  /** Durable, and known to every broker that is up, when it resolves. */
  async push(jwt: string): Promise<void> {
    let answers = 0;
    const failed = (why: unknown) =>
      new DomainError('event_subscription.broker_unavailable', { detail: 'The broker did not take the account', cause: why });
    try {
      const replies = await (await this.connected()).requestMany('$SYS.REQ.CLAIMS.UPDATE', jwt, {
        strategy: 'stall',
        stall: OTHERS_MS,
        maxWait: TIMEOUT_MS,
      });
      for await (const reply of replies) {
        const { error } = reply.json<{ error?: { description?: string } }>();
        if (error) throw new Error(error.description);
        answers++;
      }
    } catch (error) {
      throw failed(error);
    }
    if (answers === 0) throw failed(new Error('nobody answered'));
  }

  private async ask(subject: string, body: string): Promise<string> {
    try {
      return (await (await this.connected()).request(subject, body, { timeout: TIMEOUT_MS })).string();
    } catch (error) {
      const detail =
        error instanceof NoRespondersError ? 'The broker has no account resolver' : 'The broker did not say which accounts it has';
      throw new DomainError('event_subscription.broker_unavailable', { detail, cause: error });
    }
  }

  /** A broker that refuses the user of the system account is asked again and again by the client: nobody waits for that. */
  private async connected(): Promise<NatsConnection> {
    const late = AbortSignal.timeout(TIMEOUT_MS);
    const refused = new Promise<never>((_resolve, reject) => {
      late.addEventListener('abort', () => reject(new Error('no connection to the system account')), { once: true });
    });
    return Promise.race([this.system, refused]);
  }
}
