import { DomainError } from '@tenantry/contracts/errors';
import type { EventSet } from '@tenantry/contracts/events';
import type { CommandContext } from '@tenantry/contracts/route';
import type { Aggregate } from '@tenantry/event-store/aggregate';
import type { SystemCommand, TenantLog } from '@tenantry/event-store/tenant-log';

/**
 * For what is made before its event: the log looks at the expected version only when it is too late to make nothing. A command that the log
 * has already is a repeat, which gets the first answer. Of two at once that expect the same version, both may pass here, and the log refuses
 * one, whose key stays.
 * @throws DomainError `precondition.failed`
 */
export async function requireVersion<State, Set extends EventSet>(
  log: TenantLog,
  of: Aggregate<State, Set>,
  tenantId: string,
  command: CommandContext | SystemCommand,
): Promise<void> {
  if (!('ifMatch' in command) || command.ifMatch === undefined) return;
  const { version, events } = await log.load(of, { tenant: tenantId });
  if (version === command.ifMatch || events.some(({ metadata }) => metadata.commandId === command.id)) return;
  throw new DomainError('precondition.failed', { detail: `The resource is at version ${version}, not ${command.ifMatch}` });
}
