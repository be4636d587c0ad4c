import type { NatsConnection } from '@nats-io/transport-node';

/** Token for injection: the process's one connection to NATS. It comes back by itself after every loss, subscriptions included. */
export abstract class Bus {
  abstract readonly connection: NatsConnection;
  /** This process among those of its service: addressed operations are asked of it by this name. A new one at every start. */
  abstract readonly instance: string;
}
