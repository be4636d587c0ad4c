import { DomainError } from '@tenantry/contracts/errors';
import { type AppendCommand, type AppendResult, EventStore } from '@tenantry/event-store/port';
import type { Effect, EffectHandler } from '@tenantry/messaging/effects';
import type { Oversight } from '@tenantry/messaging/oversight';
import type { Logger } from '@tenantry/observability/logger';
import { appended, effects, measuredGauge } from '@tenantry/observability/metrics';

const codeOf = (error: unknown): string => (error instanceof DomainError ? error.code : 'failed');

/** The log, with the time that each append takes, waiting for its group included. */
export class MeasuredEventStore extends EventStore {
  constructor(private readonly store: EventStore) {
    super();
    store.onAppended = (tenantIds) => this.onAppended?.(tenantIds);
  }

  override async append(command: AppendCommand): Promise<AppendResult> {
    const end = appended.startTimer();
    try {
      const result = await this.store.append(command);
      end({ outcome: result.outcome });
      return result;
    } catch (error) {
      end({ outcome: codeOf(error) });
      throw error;
    }
  }

  override readStream(...args: Parameters<EventStore['readStream']>): ReturnType<EventStore['readStream']> {
    return this.store.readStream(...args);
  }
  override readLog(...args: Parameters<EventStore['readLog']>): ReturnType<EventStore['readLog']> {
    return this.store.readLog(...args);
  }
  override readLogs(...args: Parameters<EventStore['readLogs']>): ReturnType<EventStore['readLogs']> {
    return this.store.readLogs(...args);
  }
  override heads(...args: Parameters<EventStore['heads']>): ReturnType<EventStore['heads']> {
    return this.store.heads(...args);
  }
}

/** The same handler, with the time that each run takes. */
export const measuredEffects = <P>(handler: EffectHandler<P>): EffectHandler<P> =>
  Object.create(handler, {
    run: {
      value: async (effect: Effect<P>): Promise<void> => {
        const end = effects.startTimer({ effect: handler.effect });
        try {
          await handler.run(effect);
          end({ outcome: 'done' });
        } catch (error) {
          end({ outcome: error instanceof Error ? error.name : 'failed' });
          throw error;
        }
      },
    },
  }) as EffectHandler<P>;

/** How far the service's consumers are behind. Asked for when the metrics are read, at most every 10 s. */
export function measureLag(oversight: Oversight, logger: Logger): void {
  let asked: { atMs: number; lag: ReturnType<Oversight['lag']> } | null = null;
  const lag = () => {
    const nowMs = performance.now();
    if (!asked || nowMs - asked.atMs > 10_000)
      asked = {
        atMs: nowMs,
        // The other metrics are worth reading all the more while the database is away.
        lag: oversight.lag().catch((error: unknown) => {
          logger.warn({ err: error }, 'How far the consumers are behind could not be measured');
          return [];
        }),
      };
    return asked.lag;
  };
  measuredGauge(
    'tenantry_consumer_lag_events',
    'Events that a consumer has not looked at yet, over all tenants',
    'consumer',
    async () => new Map((await lag()).map(({ consumer, events }) => [consumer, events])),
  );
  measuredGauge(
    'tenantry_consumer_lag_seconds',
    'Age of the oldest event that a consumer has not looked at yet',
    'consumer',
    async () => new Map((await lag()).map(({ consumer, seconds }) => [consumer, seconds])),
  );
}
