import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Clock } from '@tenantry/contracts/clock';
import type { ApprovableCommand } from '@tenantry/contracts/config/approval-routes';
import { DomainError, errorCodes } from '@tenantry/contracts/errors';
import { derivedId } from '@tenantry/contracts/ids';
import type { CommandContext } from '@tenantry/contracts/route';
import { Keyring } from '@tenantry/crypto/keyring';
import { revealed } from '@tenantry/crypto/revealed';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import type { ClearChange } from '../config/change.js';
import { ConfigChanges } from '../config/config-changes.js';
import { systemCommand } from '../saga/system-command.js';
import { approval, type KnownApproval, known, markApplied, markFailed } from './approval.js';
import { ApprovedCommand } from './approved-command.js';

/** What will not be otherwise however often it is tried. */
const isFinal = (error: unknown): error is DomainError => {
  if (!(error instanceof DomainError)) return false;
  const { status } = errorCodes[error.code];
  return status < 500 && status !== 429 && error.code !== 'log.conflict';
};

/** Makes what was approved: under one command id, so that it is made once, whoever tries it and how often. */
@Injectable()
export class ApprovedChanges implements OnApplicationBootstrap {
  private readonly handlers = new Map<string, ApprovedCommand>();

  constructor(
    private readonly log: TenantLog,
    private readonly changes: ConfigChanges,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
    private readonly discovery: DiscoveryService,
  ) {}

  onApplicationBootstrap(): void {
    for (const { instance } of this.discovery.getProviders()) {
      if (instance instanceof ApprovedCommand) for (const command of instance.commands) this.handlers.set(command, instance);
    }
  }

  /** The approval afterwards. What can't be made is on record as failed. */
  async make(tenantId: string, approvalId: string): Promise<KnownApproval> {
    const stream = `approval-${approvalId}`;
    const asked = known((await this.log.load(approval, { tenant: tenantId, stream })).state);
    if (asked.status !== 'approved') return asked;
    const outcome = await this.attempt(tenantId, asked);
    const now = this.clock.now();
    const { state } = await this.log.transact(
      approval,
      { tenant: tenantId, stream, command: systemCommand(derivedId('approval.outcome', approvalId), { correlationId: approvalId }) },
      outcome === null ? markApplied(now) : markFailed(outcome, now),
    );
    return known(state);
  }

  private async attempt(tenantId: string, asked: KnownApproval): Promise<{ code: string; detail: string } | null> {
    const { command, body } = asked;
    try {
      if (!asked.change) {
        const handler = this.handlers.get(command);
        if (!handler || body === null) throw new Error(`nobody does ${command} where it was approved`);
        const given: unknown = JSON.parse(await this.keyring.reveal<string>(tenantId, body));
        await handler.run(tenantId, command as ApprovableCommand, given, commandOf(asked));
        return null;
      }
      // Each value is a piece of JSON text in clear again.
      const change = (await revealed<unknown>(this.keyring, tenantId, asked.change)) as ClearChange;
      await this.changes.make(tenantId, await this.changes.plan(tenantId, change), commandOf(asked));
      return null;
    } catch (error) {
      if (!isFinal(error)) throw error;
      return { code: error.code, detail: error.detail };
    }
  }
}

/** As whoever asked, and on what he expected. */
const commandOf = ({ approvalId, requestedBy, ifMatch }: KnownApproval): CommandContext => ({
  id: derivedId('approval.change', approvalId),
  requestHash: approvalId,
  principal: { kind: requestedBy.kind as CommandContext['principal']['kind'], id: requestedBy.id, permissions: [] },
  correlationId: approvalId,
  ...(ifMatch === null ? {} : { ifMatch }),
});
