import { RequestError } from '@nats-io/transport-node';
import { Injectable } from '@nestjs/common';
import { Bus } from '@tenantry/service/bus';

const TIMEOUT_MS = 2_000;
const NOT_FOUND = 404;

/** Looks whether an event is on the bus: asks JetStream itself for the last message of the event's subject. */
@Injectable()
export class EventProbe {
  constructor(private readonly bus: Bus) {}

  /** Events follow their commit within milliseconds; `false` when this one did not within a second. */
  async onBus(tenantId: string, context: string, type: string): Promise<boolean> {
    const request = JSON.stringify({ last_by_subj: `tenantry.events.${tenantId}.${context}.${type}` });
    for (const waitMs of [10, 30, 100, 300, 600, 0]) {
      if (await this.found(request)) return true;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    return false;
  }

  private async found(request: string): Promise<boolean> {
    try {
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
