import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import type { CommandContext } from '@tenantry/contracts/route';
import { operationSteps } from '@tenantry/contracts/tenant/operation-events';
import { Keyring } from '@tenantry/crypto/keyring';
import { type SystemCommand, TenantLog } from '@tenantry/event-store/tenant-log';
import { OperationIndex } from './operation-index.js';
import { type OperationAddress, type OperationKind, OperationKinds, type ShownOperation } from './operation-kinds.js';
import type { OperationType } from './operation-type.js';
import { requestCancel, requestRollback, retry, stepped, steppedView } from './stepped.js';

/** The types of stepped operations, and how they are seen and steered. A type adds itself when it is made. */
@Injectable()
export class OperationTypes implements OperationKind {
  private readonly byType = new Map<string, OperationType>();

  constructor(
    private readonly log: TenantLog,
    private readonly index: OperationIndex,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
    private readonly kinds: OperationKinds,
  ) {}

  add(type: OperationType): void {
    const expected: readonly string[] = operationSteps[type.type];
    if (type.steps.map(({ name }) => name).join() !== expected.join())
      throw new Error(`The steps of ${type.type} are not those of the contracts: ${expected.join(', ')}`);
    this.byType.set(type.type, type);
    this.kinds.add(type.type, this);
  }

  of(name: string): OperationType {
    const type = this.byType.get(name);
    if (!type) throw new Error(`There is no operation of the type ${name}`);
    return type;
  }

  async view(at: OperationAddress): Promise<ShownOperation> {
    const [{ state, position }, askedAt] = await Promise.all([this.load(at), this.index.askedAt(at.id)]);
    const reason = state.revoked?.reason ?? null;
    const steps = this.of(at.type).steps.map(({ name }) => name);
    return {
      view: steppedView(at, state, steps, askedAt, reason === null ? null : await this.keyring.reveal(at.tenantId, reason)),
      position: { tenantId: at.tenantId, position },
    };
  }

  async cancel(at: OperationAddress, reason: string | undefined, command: CommandContext): Promise<void> {
    const data = { operationId: at.id, reason, requestedAt: this.clock.now() };
    await this.log.transact(stepped, this.target(at, command), requestCancel(data, this.of(at.type).effectiveAfter ?? null));
  }

  async rollBack(at: OperationAddress, reason: string | undefined, command: CommandContext): Promise<void> {
    const data = { operationId: at.id, reason, requestedAt: this.clock.now() };
    await this.log.transact(stepped, this.target(at, command), requestRollback(data, this.of(at.type).effectiveAfter ?? null));
  }

  async retry(at: OperationAddress, reason: string | undefined, command: CommandContext | SystemCommand): Promise<string> {
    const data = { operationId: at.id, reason, retriedAt: this.clock.now() };
    await this.log.transact(stepped, this.target(at, command), retry(data));
    return at.id;
  }

  private target = ({ id, tenantId }: OperationAddress, command: CommandContext | SystemCommand) => ({
    tenant: tenantId,
    stream: `operation-${id}`,
    command,
  });
  private load = ({ id, tenantId }: OperationAddress) => this.log.load(stepped, { tenant: tenantId, stream: `operation-${id}` });
}
