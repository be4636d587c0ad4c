import { eventually } from '@tenantry/testing/eventually';
import type { Api } from './api.js';
import { type Issued, Subscriber } from './subscriber.js';
import { activeTenant, eventsOf, PLATFORM, unique } from './tenants.js';

export const subscriptionPaths = {
  create: `${PLATFORM}/event-subscriptions`,
  one: (id: string) => `${PLATFORM}/event-subscriptions/${id}`,
};

export interface TenantWithKey {
  id: string;
  key: string;
}

/** What specs of event subscriptions do over the API, and the clients that they opened. */
export class Subscriptions {
  private readonly open: Subscriber[] = [];

  constructor(private readonly api: Api) {}

  async tenant(): Promise<TenantWithKey> {
    const { tenant } = await activeTenant(this.api, { name: unique('Sub'), adminEmail: 'a@sub.example' });
    const { body } = await this.api.post(`${PLATFORM}/tenants/${tenant.id}/api-keys`, { name: 'test' });
    return { id: tenant.id, key: body.key };
  }

  /** One with all contexts from the first event on, unless the body says otherwise. */
  async make(body: Record<string, unknown>): Promise<Issued> {
    // Right after the broker was killed the answer is 503, to be asked again.
    const {
      status,
      body: issued,
      text,
    } = await eventually(
      async () => {
        const reply = await this.api.post(subscriptionPaths.create, { name: 'test', contexts: 'all', from: 'first', ...body });
        if (reply.status === 503) throw new Error(reply.text);
        return reply;
      },
      { timeoutMs: 20_000, intervalMs: 500 },
    );
    if (status !== 201) throw new Error(`creation answered ${status}: ${text}`);
    return issued;
  }

  async listen(issued: Issued, options?: Parameters<typeof Subscriber.open>[1]): Promise<Subscriber> {
    const subscriber = await Subscriber.open(issued, options);
    this.open.push(subscriber);
    return subscriber;
  }

  /** A change that appends one event to the tenant's log. */
  async change(tenant: { id: string }): Promise<void> {
    const { status, text } = await this.api.put(`${PLATFORM}/tenants/${tenant.id}`, { name: unique('Renamed') });
    if (status !== 200) throw new Error(`renaming answered ${status}: ${text}`);
  }

  async headOf(tenant: { id: string }): Promise<number> {
    return (await eventsOf(this.api, tenant.id)).length - 1;
  }

  async close(): Promise<void> {
    await Promise.all(this.open.map((one) => one.close()));
  }
}

export const refusedToConnect = (issued: Issued): Promise<boolean> =>
  Subscriber.open(issued).then(
    async (subscriber) => {
      await subscriber.close();
      return false;
    },
    () => true,
  );
