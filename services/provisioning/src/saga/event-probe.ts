import { RequestError, type Subscription } from '@nats-io/transport-node';
import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Bus } from '@tenantry/service/bus';

const TIMEOUT_MS = 2_000;
const NOT_FOUND = 404;
/** Tenants whose first event was heard lately, the oldest given up first. */
const REMEMBERED = 10_000;
const TYPE = 'tenant.TenantRegistered';

/**
 * Has a tenant's first event come over the bus? Usually this process heard it itself. Otherwise (it was started since) JetStream is asked
 * for the last message of the subject: dear in a stream with many subjects, so not the first thing to do.
 */
@Injectable()
export class EventProbe implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly heard = new Set<string>();
  private subscription?: Subscription;

  constructor(private readonly bus: Bus) {}

  onApplicationBootstrap(): void {
    this.subscription = this.bus.connection.subscribe(`tenantry.events.*.${TYPE}`, {
      callback: (error, message) => {
        if (!error) this.remember(message.subject.split('.')[2] as string);
      },
    });
  }
  onApplicationShutdown(): void {
    this.subscription?.unsubscribe();
  }

  /** Events follow their commit within milliseconds; `false` when this one did not within a second. */
  async onBus(tenantId: string): Promise<boolean> {
    for (const waitMs of [5, 10, 20, 50, 100]) {
      if (this.heard.delete(tenantId)) return true;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    for (const waitMs of [300, 500, 0]) {
      if (this.heard.delete(tenantId) || (await this.stored(tenantId))) return true;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    return false;
  }

  private remember(tenantId: string): void {
    this.heard.add(tenantId);
    if (this.heard.size <= REMEMBERED) return;
    for (const oldest of this.heard) {
      this.heard.delete(oldest);
      break;
    }
  }

  private async stored(tenantId: string): Promise<boolean> {
    try {
      const request = JSON.stringify({ last_by_subj: `tenantry.events.${tenantId}.${TYPE}` });
      const reply = await this.bus.connection.request('$JS.API.STREAM.MSG.GET.TENANTRY_EVENTS', request, { timeout: TIMEOUT_MS });
      const answer = reply.json<{ error?: { code: number; description: string } }>();
      if (answer.error && answer.error.code !== NOT_FOUND) throw new Error(`JetStream: ${answer.error.description}`);
      return answer.error === undefined;
    } catch (error) {
      if (error instanceof RequestError && error.isNoResponders()) return false; // JetStream is starting
      throw error;
    }
  }
}
