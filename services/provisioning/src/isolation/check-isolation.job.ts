import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import type { Attempt } from '@tenantry/contracts/platform/isolation';
import { Logger } from '@tenantry/observability/logger';
import { Tenants } from '@tenantry/tenancy/tenants';
import { type ItemOutcome, JobHandler, type JobItem, type RunningJob } from '../job/job-handler.js';
import { Peers } from './peers.js';
import type { Probe, Subject } from './probe.js';
import { ApiProbe } from './probes/api.probe.js';
import { BusProbe } from './probes/bus.probe.js';
import { DatabaseProbe } from './probes/database.probe.js';
import { FilesProbe } from './probes/files.probe.js';
import { KeysProbe } from './probes/keys.probe.js';
import { LogsProbe } from './probes/logs.probe.js';
import { OutsideProbe } from './probes/outside.probe.js';
import { TokensProbe } from './probes/tokens.probe.js';
import { Reports } from './reports.js';

export const ISOLATION_CHECK = 'isolation-check';
const NAMED = 5;

/** One tenant of a check: tries every boundary, writes the signed report, and fails where one has given way. */
@Injectable()
export class CheckIsolation extends JobHandler {
  readonly type = ISOLATION_CHECK;
  private readonly probes: readonly Probe[];

  constructor(
    private readonly tenants: Tenants,
    private readonly peers: Peers,
    private readonly reports: Reports,
    private readonly clock: Clock,
    private readonly logger: Logger,
    database: DatabaseProbe,
    api: ApiProbe,
    tokens: TokensProbe,
    bus: BusProbe,
    files: FilesProbe,
    keys: KeysProbe,
    logs: LogsProbe,
    outside: OutsideProbe,
  ) {
    super();
    this.probes = [database, api, tokens, bus, files, keys, logs, outside];
  }

  async run({ tenantId }: JobItem, { operationId }: RunningJob, signal: AbortSignal): Promise<ItemOutcome> {
    if (tenantId === null) throw new Error('An isolation check is about tenants');
    const subject = await this.subject(tenantId);
    if (subject === null)
      return { status: 'skipped', why: { code: 'placement.not_found', detail: 'The tenant has no place: there is nothing to reach.' } };
    const attempts: Attempt[] = [];
    // One after the other: a check takes no more of the system than one tenant's requests.
    for (const probe of this.probes) {
      signal.throwIfAborted();
      attempts.push(...(await probe.attempts(subject, signal)));
    }
    const verdict = await this.reports.write({ checkId: operationId, tenantId, checkedAt: this.clock.now(), attempts });
    if (verdict === 'held') return { status: 'succeeded' };
    const open = attempts.filter(({ outcome }) => outcome === 'breached');
    this.logger.error({ tenantId, operationId, open: open.slice(0, NAMED) }, 'a boundary around a tenant has given way');
    throw new DomainError('isolation.breached', {
      detail: `${open.length} attempts got through, first at ${open[0]?.boundary} ${open[0]?.target}: see the report.`,
    });
  }

  private async subject(tenantId: string): Promise<Subject | null> {
    const [placement, peerId] = await Promise.all([this.tenants.placement(tenantId, { fresh: true }), this.peers.of(tenantId)]);
    if (!placement?.ready) return null;
    const peer = peerId === null ? null : await this.tenants.placement(peerId);
    return { tenantId, placement, peer: peer && { tenantId: peer.tenantId, placement: peer }, nonce: randomUUID() };
  }
}
