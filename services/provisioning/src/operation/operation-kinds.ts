import { Injectable } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import type { jobItemStates, OperationItem } from '@tenantry/contracts/platform/consumers';
import type { CommandContext } from '@tenantry/contracts/route';
import type { OperationView } from '@tenantry/contracts/tenant/bodies';
import { requirePermissions } from './operation-permissions.js';

export interface ShownOperation {
  view: OperationView;
  position: { tenantId: string; position: number };
}
export interface OperationAddress {
  id: string;
  tenantId: string;
  type: string;
}
export interface ItemsPage {
  cursor?: string;
  limit: number;
  status?: (typeof jobItemStates)[number];
}

/** How operations of one type are seen and steered. What is left out can't be done to them. */
export interface OperationKind {
  view(at: OperationAddress): Promise<ShownOperation>;
  /** Where one kind has several types: which one it is. */
  typeOf?(at: OperationAddress): Promise<string>;
  /** With which parameters; null where it is over for so long that they were removed. */
  startedWith?(at: OperationAddress): Promise<unknown>;
  cancel?(at: OperationAddress, reason: string | undefined, command: CommandContext): Promise<void>;
  /** @returns id of the operation that goes on: the same, or a new one */
  retry?(at: OperationAddress, reason: string | undefined, command: CommandContext): Promise<string>;
  pause?(at: OperationAddress, reason: string | undefined, command: CommandContext): Promise<void>;
  resume?(at: OperationAddress, reason: string | undefined, command: CommandContext): Promise<void>;
  /** Of work over many tenants. @throws DomainError `request.invalid` for a cursor that was never given */
  items?(at: OperationAddress, page: ItemsPage): Promise<{ items: OperationItem[]; nextCursor: string | null }>;
  rollBack?(at: OperationAddress, reason: string | undefined, command: CommandContext): Promise<void>;
}

/** Of the kind that has a type for each sort of work. */
export const JOB = 'job';

/** Every kind of operation by its type. A kind adds itself when it is made. */
@Injectable()
export class OperationKinds {
  private readonly byType = new Map<string, OperationKind>();

  add(type: string, kind: OperationKind): void {
    if (this.byType.has(type)) throw new Error(`Two kinds of operations have the type ${type}`);
    if (type !== JOB) requirePermissions(type);
    this.byType.set(type, kind);
  }

  /** @throws DomainError `operation.not_found` where it is of a later release */
  of(type: string): OperationKind {
    const kind = this.byType.get(type);
    if (!kind) throw new DomainError('operation.not_found');
    return kind;
  }
}
