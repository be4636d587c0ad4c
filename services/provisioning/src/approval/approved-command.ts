import type { ApprovableCommand } from '@tenantry/contracts/config/approval-routes';
import type { CommandContext } from '@tenantry/contracts/route';

/** Does what was approved and is no change of the configuration. A provider of its feature's module; found by its class. */
export abstract class ApprovedCommand {
  abstract readonly commands: readonly ApprovableCommand[];
  /** `body`: as `Holding.holdCommand` got it. Perhaps more than once, with the same command. Throws a `DomainError` where it can't be done. */
  abstract run(tenantId: string, command: ApprovableCommand, body: unknown, context: CommandContext): Promise<void>;
}
