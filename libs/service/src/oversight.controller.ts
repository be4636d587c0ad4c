import { Controller, type Type } from '@nestjs/common';
import { type OversightCalls, oversightOf } from '@tenantry/contracts/platform/consumers';
import type { ServiceName } from '@tenantry/contracts/route';
import { Handles } from '@tenantry/messaging/handles';
import { Oversight } from '@tenantry/messaging/oversight';
import type { z } from 'zod';

type Input<N extends keyof OversightCalls> = z.infer<OversightCalls[N]['input']>;

/** Answers for the service's own consumers; what an operator asks goes through provisioning. */
export function oversightController(service: ServiceName): Type {
  const calls = oversightOf(service);

  @Controller()
  class OversightRpc {
    constructor(private readonly oversight: Oversight) {}

    @Handles(calls.consumers)
    async consumers(input: Input<'consumers'>) {
      return { items: await this.oversight.list(input) };
    }
    @Handles(calls.parked)
    async parked(input: Input<'parked'>) {
      return { items: await this.oversight.parked(input) };
    }
    @Handles(calls.settle)
    async settle({ id, skip }: Input<'settle'>) {
      return { item: await this.oversight.settle(id, skip) };
    }
    @Handles(calls.consumerOf)
    consumerOf({ name }: Input<'consumerOf'>) {
      return { consumer: this.oversight.consumerOf(name) };
    }
    @Handles(calls.rebuild)
    async rebuild({ operationId, consumer, tenantId }: Input<'rebuild'>) {
      await this.oversight.rebuild(operationId, consumer, tenantId);
      return {};
    }
    @Handles(calls.progress)
    progress({ operationId }: Input<'progress'>) {
      return this.oversight.progress(operationId);
    }
    @Handles(calls.items)
    async items(input: Input<'items'>) {
      return { items: await this.oversight.items(input) };
    }
  }
  return OversightRpc;
}
