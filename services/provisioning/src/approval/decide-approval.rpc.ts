import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { approve, getApproval, reject } from '@tenantry/contracts/config/approval-routes';
import type { CommandContext, RouteAnswer } from '@tenantry/contracts/route';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { Logger } from '@tenantry/observability/logger';
import { Sensitive } from '../history/sensitive.js';
import { approval, deciderOf, give, known, rejectBy } from './approval.js';
import { ApprovalIndex } from './approval-index.js';
import { approvalView } from './approval-view.js';
import { ApprovedChanges } from './approved-changes.js';

@Controller()
export class DecideApprovalRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly index: ApprovalIndex,
    private readonly approved: ApprovedChanges,
    private readonly sensitive: Sensitive,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  @Handles(getApproval)
  async get({ params: { approvalId }, command }: Call<typeof getApproval>): Reply<typeof getApproval> {
    return this.answer(await this.index.tenantOf(approvalId), approvalId, command);
  }

  @Handles(approve)
  async approve({ params: { approvalId }, body, command }: Call<typeof approve>): Reply<typeof approve> {
    const tenantId = await this.index.tenantOf(approvalId);
    const target = { tenant: tenantId, stream: `approval-${approvalId}`, command };
    const { state } = await this.log.transact(approval, target, give(deciderOf(command.principal), body.reason, this.clock.now()));
    // Made at once, so that the answer says how it ended; where that can't be, the effect of the approval goes on trying.
    if (known(state).status === 'approved')
      await this.approved.make(tenantId, approvalId).catch((error: unknown) => {
        this.logger.warn({ err: error, tenantId, approvalId }, 'an approved change could not be made yet; it will be tried again');
      });
    return this.answer(tenantId, approvalId, command);
  }

  @Handles(reject)
  async reject({ params: { approvalId }, body, command }: Call<typeof reject>): Reply<typeof reject> {
    const tenantId = await this.index.tenantOf(approvalId);
    const target = { tenant: tenantId, stream: `approval-${approvalId}`, command };
    await this.log.transact(approval, target, rejectBy(deciderOf(command.principal), body.reason, this.clock.now()));
    return this.answer(tenantId, approvalId, command);
  }

  private async answer(tenantId: string, approvalId: string, { principal }: CommandContext): Promise<RouteAnswer<typeof getApproval>> {
    const [{ state, version, position, events }, sensitive] = await Promise.all([
      this.log.load(approval, { tenant: tenantId, stream: `approval-${approvalId}` }),
      this.sensitive.keysOf(tenantId),
    ]);
    const createdAt = events[0]?.recordedAt ?? '';
    const body = await approvalView(this.keyring, tenantId, known(state), createdAt, { permissions: principal.permissions, sensitive });
    return { status: 200, body, version, position: { tenantId, position } };
  }
}
