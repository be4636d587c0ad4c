import { Injectable } from '@nestjs/common';
import { OperationIndex } from './operation-index.js';
import { type OperationAddress, type OperationKind, OperationKinds, type ShownOperation } from './operation-kinds.js';

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
