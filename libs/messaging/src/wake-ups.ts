import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from '@tenantry/observability/logger';

/** What a wake-up says. Nothing in it is believed: it may be forged, late, doubled or never come. */
export interface WakeUp {
  tenantId: string;
  /** Of the event that it tells of; NaN where it doesn't say. */
  position: number;
  body: () => string;
}

/** Where messages come from that say that a log grew. */
export abstract class WakeUps {
  /** @param subject may hold NATS wildcards @returns ends it */
  abstract subscribe(subject: string, woken: (wakeUp: WakeUp) => void): () => void;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Core NATS: `tenantry.events.<tenant>.<context>.<type>`. */
export class NatsWakeUps extends WakeUps {
  constructor(
    private readonly nats: NatsConnection,
    private readonly logger: Logger,
  ) {
    super();
  }

  override subscribe(subject: string, woken: (wakeUp: WakeUp) => void): () => void {
    const subscription = this.nats.subscribe(subject, {
      callback: (error, message) => {
        if (error) {
          this.logger.warn({ err: error, subject }, 'Wake-ups are refused');
          return;
        }
        const tenantId = message.subject.split('.')[2] ?? '';
        if (!uuid.test(tenantId)) return;
        woken({ tenantId, position: Number(message.headers?.get('ce-position') || Number.NaN), body: () => message.string() });
      },
    });
    return () => subscription.unsubscribe();
  }
}
