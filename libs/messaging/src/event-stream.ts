import { JetStreamApiError, jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';

export const eventStream = 'TENANTRY_EVENTS';

/** The broker made something less than what was asked for. */
export class MissingGuarantee extends Error {}

/** What is asked while the broker comes back gets no answer at all: whoever waits for long publishes nothing meanwhile. */
const TIMEOUT_MS = 2_000;
const nanosPerMs = 1_000_000;
const wanted = (replicas: number) => ({
  name: eventStream,
  subjects: ['tenantry.events.>'],
  retention: 'limits' as const,
  storage: 'file' as const,
  discard: 'old' as const,
  max_age: 7 * 24 * 3_600_000 * nanosPerMs,
  duplicate_window: 120_000 * nanosPerMs,
  num_replicas: replicas,
  max_msgs: -1,
  max_bytes: -1,
  max_msgs_per_subject: -1,
});

/**
 * Makes the stream that captures the published events, or brings it to what it should be. Old servers ignore options that they
 * don't know, so what they made is read back.
 * @throws MissingGuarantee that names each; the broker's own error where it refuses or isn't ready
 */
export async function ensureEventStream(nats: NatsConnection, replicas: number, timeoutMs = TIMEOUT_MS): Promise<void> {
  const manager = await jetstreamManager(nats, { checkAPI: false, timeout: timeoutMs });
  const config = wanted(replicas);
  try {
    await manager.streams.add(config);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== streamNameInUse) throw error;
    await manager.streams.update(eventStream, config);
  }
  const made = (await manager.streams.info(eventStream)).config as StreamConfig & Record<string, unknown>;
  const missing = Object.entries(config)
    .filter(([option, value]) => JSON.stringify(made[option]) !== JSON.stringify(value))
    .map(([option, value]) => `${option} should be ${JSON.stringify(value)} and is ${JSON.stringify(made[option])}`);
  if (missing.length > 0) throw new MissingGuarantee(`The broker does not keep what stream ${eventStream} needs: ${missing.join('; ')}`);
}

const streamNameInUse = 10058;
