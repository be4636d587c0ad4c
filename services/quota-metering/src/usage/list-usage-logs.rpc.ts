import { Controller } from '@nestjs/common';
import { listUsageLogs } from '@tenantry/contracts/quota/routes';
import type { RouteAnswer } from '@tenantry/contracts/route';
import { Keyring } from '@tenantry/crypto/keyring';
import { Handles } from '@tenantry/messaging/handles';
import type { Call } from '@tenantry/messaging/rpc';
import { Ledger } from './ledger.js';
import { UsageMeter } from './usage-meter.js';

@Controller()
export class ListUsageLogsRpc {
  constructor(
    private readonly ledger: Ledger,
    private readonly meter: UsageMeter,
    private readonly keyring: Keyring,
  ) {}

  @Handles(listUsageLogs)
  async handle({ tenantId, query }: Call<typeof listUsageLogs>): Promise<RouteAnswer<typeof listUsageLogs>> {
    const { limit = 50, offset, resource } = query;
    // Counting reads every line: only for who pages by offset, and so shows a total.
    const [lines, total, cycle] = await Promise.all([
      this.ledger.logs(tenantId, { limit, offset: offset ?? 0, resource }),
      offset === undefined ? undefined : this.ledger.countLogs(tenantId, resource),
      this.ledger.cycle(tenantId),
    ]);
    if (!cycle) return this.meter.refuseTenant(tenantId);
    // The first fetches the key, the others find it.
    const items = await Promise.all(
      lines.map(async (line) => ({
        ...line,
        description: line.description === null ? null : await this.keyring.reveal(tenantId, line.description),
      })),
    );
    return { status: 200, body: { items }, total };
  }
}
