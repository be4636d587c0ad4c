import { Injectable } from '@nestjs/common';
import { derivedId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import { oversightOf } from '@tenantry/contracts/platform/consumers';
import type { ServiceName } from '@tenantry/contracts/route';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { ComeBack, type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { RpcClient } from '@tenantry/messaging/rpc';
import { runWith } from '@tenantry/observability/context';
import { systemCommand } from '../saga/system-command.js';
import { endRebuild, rebuild } from './rebuild.js';
import type { RebuildPayload } from './rebuilding.process.js';
import { RebuildOperations } from './rebuilds.js';

const lookAgainMs = 2_000;

@Injectable()
export class RebuildProjection extends EffectHandler<RebuildPayload> {
  readonly effect = 'rebuild-projection';
  /** The service may be down for hours: the operation goes on when it is back. */
  override readonly maxAttempts = Number.MAX_SAFE_INTEGER;

  constructor(
    private readonly log: TenantLog,
    private readonly rpc: RpcClient,
    private readonly rebuilds: RebuildOperations,
  ) {
    super();
  }

  override run({ payload, causationId }: Effect<RebuildPayload>): Promise<void> {
    return runWith({ traceparent: payload.traceparent }, () => this.follow(payload, causationId));
  }

  private async follow({ operationId, traceparent }: RebuildPayload, causationId: string): Promise<void> {
    const { requested, ended } = await this.rebuilds.requested(operationId);
    if (ended) return;
    const calls = oversightOf(requested.service as ServiceName);
    let counts = await this.rpc.call(calls.progress, { operationId });
    if (counts.total === 0) {
      await this.rpc.call(calls.rebuild, { operationId, consumer: requested.consumer, tenantId: requested.tenantId });
      counts = await this.rpc.call(calls.progress, { operationId });
    }
    if (counts.pending > 0) throw new ComeBack(lookAgainMs);
    await this.log.transact(
      rebuild,
      {
        tenant: PLATFORM_LOG,
        stream: `operation-${operationId}`,
        command: systemCommand(derivedId('command', operationId, 'ended'), { causationId, correlationId: operationId, traceparent }),
      },
      endRebuild(operationId, counts),
    );
  }
}
