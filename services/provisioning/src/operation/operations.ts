import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import type { CommandContext } from '@tenantry/contracts/route';
import { permits } from '@tenantry/service/authorize';
import { OperationIndex } from './operation-index.js';
import { type OperationAddress, type OperationKind, OperationKinds, type ShownOperation } from './operation-kinds.js';
import { permissionsOf } from './operation-permissions.js';

/** Operations of every kind as they stand. */
@Injectable()
export class Operations {
  constructor(
    private readonly index: OperationIndex,
    private readonly kinds: OperationKinds,
  ) {}

  /** @throws DomainError `operation.not_found` */
  async find(id: string): Promise<{ at: OperationAddress; kind: OperationKind }> {
    const { tenantId, type } = await this.index.find(id);
    return { at: { id, tenantId, type }, kind: this.kinds.of(type) };
  }

  /**
   * As `find`, for who wants to change how it goes on: that takes what starting it takes.
   * @throws DomainError `operation.not_found`, `auth.forbidden`
   */
  async steered(id: string, { principal }: CommandContext): Promise<{ at: OperationAddress; kind: OperationKind }> {
    const found = await this.find(id);
    const type = (await found.kind.typeOf?.(found.at)) ?? found.at.type;
    const needed = await permissionsOf(type, async () => (await found.kind.startedWith?.(found.at)) ?? null);
    const permission = needed.find((one) => !permits(principal.permissions, one));
    if (permission !== undefined)
      throw new DomainError('auth.forbidden', {
        detail: `To steer work of the type ${type} takes what starting it takes: the permission ${permission} is needed`,
        extensions: { permission },
      });
    return found;
  }

  /** @throws DomainError `operation.not_found` */
  async view(id: string): Promise<ShownOperation> {
    const { at, kind } = await this.find(id);
    return kind.view(at);
  }

  /** As the answer to a request that it be done, or changed. */
  async accepted(id: string) {
    const { view, position } = await this.view(id);
    return { status: 202, body: view, position, location: `/api/v1/platform/operations/${id}` };
  }
}
