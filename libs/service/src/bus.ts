import type { NatsConnection } from '@nats-io/transport-node';

/** Token for injection: the process's one connection to NATS. It comes back by itself after every loss, subscriptions included. */
export abstract class Bus {
  abstract readonly connection: NatsConnection;
}
