import { Injectable } from '@nestjs/common';
import { cancelSubscription } from '@tenantry/contracts/billing/routes';
import { Clock } from '@tenantry/contracts/clock';
import { releaseHost } from '@tenantry/contracts/domain/routes';
import { DomainError } from '@tenantry/contracts/errors';
import { signDocument } from '@tenantry/contracts/identity/operations';
import { withdrawQuotas } from '@tenantry/contracts/quota/routes';
import { type ServiceName, services } from '@tenantry/contracts/route';
import { storeCallsOf } from '@tenantry/contracts/stores/operations';
import { type ErasurePhase, EXPORT_END, erasurePhases, type Store, stores, storesOf } from '@tenantry/contracts/stores/stores';
import { type ErasureCertificate, ErasureStatement } from '@tenantry/contracts/tenant/erasure-routes';
import { signedText } from '@tenantry/crypto/signature';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Timers } from '@tenantry/messaging/effects';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Database } from '@tenantry/service/database';
import { keepOut } from '@tenantry/tenancy/erased-fence';
import type { OperationContext, OperationStep, OperationType } from '../operation/operation-type.js';
import { OperationTypes } from '../operation/operation-types.js';
import { type Facts, stepped } from '../operation/stepped.js';
import { databasesOf, everIn, placement } from '../placement/placement.js';
import { registered, tenant as tenantAggregate } from '../tenant/tenant.js';
import { markErased } from './erasure.js';
import { TenantExport } from './tenant-export.js';

const LOOK_AGAIN_MS = 1_000;
const DAY_MS = 24 * 3_600_000;
/** Whoever left has so long to fetch what is his. */
const EXPORT_KEPT_MS = 30 * DAY_MS;

type Searched = Store & { found: number; kept: number; query: string; checkedAt: string };
const lineOf = ({ name, method, checkedAt, found, kept, query, keeps }: Searched): ErasureStatement['stores'][number] => ({
  ...{ name, method, checkedAt, found, query, kept },
  ...(keeps === null ? {} : { keeps }),
});

export interface ExportEndPayload {
  operationId: string;
}

/**
 * The erasure of a tenant whose deletion's grace is over. There is no way back from the first step on, and every step may run again: what
 * fails for good stays where it is until an operator has it tried again.
 */
@Injectable()
export class EraseTenant implements OperationType {
  readonly type = 'erasure';
  readonly steps: readonly OperationStep[] = [
    { name: 'export', commits: true, waitMs: (context) => this.moving(context), run: (context) => this.export(context) },
    { name: 'close', run: (context) => this.closeAccount(context) },
    ...erasurePhases.map((phase) => ({ name: phase, run: (context: OperationContext) => this.erase(context, phase) })),
    { name: 'check', run: (context) => this.check(context) },
    { name: 'certify', run: (context) => this.certify(context) },
    { name: 'finish', run: (context) => this.finish(context) },
  ];

  constructor(
    private readonly log: TenantLog,
    private readonly rpc: RpcClient,
    private readonly exports: TenantExport,
    private readonly timers: Timers,
    private readonly clock: Clock,
    private readonly database: Database,
    types: OperationTypes,
  ) {
    types.add(this);
  }

  /**
   * A move that is at work makes what the erasure would look for: it ends first. What it then keeps of the old place goes with the new one.
   * One that has ended half done goes on only where somebody has it tried again: nobody need do that, since both its places go.
   */
  private async moving({ tenantId }: OperationContext): Promise<number> {
    const { state } = await this.log.load(placement, { tenant: tenantId });
    if (!state.placed || state.moving === null || state.moving.to.generation <= state.generation) return 0;
    const move = await this.log.load(stepped, { tenant: tenantId, stream: `operation-${state.moving.operationId}` });
    return move.state.ended === null ? LOOK_AGAIN_MS : 0;
  }

  private async export({ tenantId, operationId }: OperationContext): Promise<Facts> {
    const createdAt = this.clock.now();
    const { folder, manifestSha256, files } = await this.exports.write(tenantId, operationId, createdAt);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    const expiresAt = new Date(Date.parse(createdAt) + EXPORT_KEPT_MS).toISOString();
    return { location: folder, manifestSha256, files: files.length, bytes, expiresAt };
  }

  /** The last events of the services that served the tenant. */
  private async closeAccount({ tenantId, operationId }: OperationContext): Promise<null> {
    const { state } = await this.log.load(tenantAggregate, { tenant: tenantId });
    const { domain } = registered(state);
    await Promise.all([
      this.rpc.call(cancelSubscription, { tenantId, operationId, reason: 'The tenant was deleted' }),
      this.rpc.call(withdrawQuotas, { tenantId, operationId }),
      this.rpc.call(releaseHost, { tenantId, operationId, host: domain.host }),
    ]);
    return null;
  }

  /** Every owner at once: what one needs of another is in an earlier phase. */
  private async erase({ tenantId, operationId }: OperationContext, phase: ErasurePhase): Promise<null> {
    if (phase === 'rows') await keepOut(this.database.pool, tenantId, operationId);
    await Promise.all(
      services.map(async (owner) => {
        const names = storesOf(owner, phase).map(({ name }) => name);
        if (names.length > 0) await this.rpc.call(storeCallsOf(owner).erase, { tenantId, stores: names });
      }),
    );
    return null;
  }

  /**
   * Every store is searched, once nobody can write to one any more. What came in late, by work that was on its way, is erased once more,
   * what is still worked on is waited for, and the search begins again.
   */
  private async check({ tenantId, operationId }: OperationContext): Promise<Facts> {
    // Again: an erasure that began before an upgrade has come this far without it.
    await keepOut(this.database.pool, tenantId, operationId);
    const found = (await Promise.all(services.map((owner) => this.found(owner, tenantId)))).flat();
    const left = found.filter((store) => store.found > 0);
    if (left.length > 0) {
      await Promise.all(left.map(({ owner, name }) => this.rpc.call(storeCallsOf(owner).erase, { tenantId, stores: [name] })));
      throw new DomainError('erasure.incomplete', {
        detail: `Something of the tenant was left and has been erased again: ${left.map(({ name }) => name).join(', ')}`,
      });
    }
    return { checkedAt: this.clock.now(), stores: found.map(lineOf) };
  }

  private async found(owner: ServiceName, tenantId: string): Promise<Searched[]> {
    const own = storesOf(owner);
    const answer = await this.rpc.call(storeCallsOf(owner).check, { tenantId, stores: own.map(({ name }) => name) });
    const checkedAt = this.clock.now();
    const answers = new Map(answer.found.map((found) => [found.name, found]));
    return own.map((store) => {
      const found = answers.get(store.name);
      if (found === undefined) throw new Error(`${owner} did not say what it found in ${store.name}`);
      return { ...store, ...found, checkedAt };
    });
  }

  private async certify({ tenantId, operationId, results }: OperationContext): Promise<Facts> {
    const [exported, checked] = [results['export'], results['check']];
    if (!exported || !checked) throw new Error('the erasure was not checked');
    const { state: lived } = await this.log.load(everIn, { tenant: tenantId });
    const order = new Map(stores.map(({ name }, index) => [name, index]));
    const unordered = checked['stores'] as ErasureStatement['stores'];
    const statement = ErasureStatement.parse({
      tenantId,
      operationId,
      erasedAt: checked['checkedAt'],
      stores: unordered.toSorted((a, b) => (order.get(a.name) ?? 0) - (order.get(b.name) ?? 0)),
      databases: databasesOf(lived),
      export: { location: exported['location'], manifestSha256: exported['manifestSha256'], expiresAt: exported['expiresAt'] },
    });
    const signed = await this.rpc.call(signDocument, { purpose: 'erasure-certificate', text: signedText(statement) });
    return { certificate: { ...statement, ...signed } satisfies ErasureCertificate };
  }

  private async finish({ tenantId, operationId, results, command }: OperationContext): Promise<null> {
    const expiresAt = results['export']?.['expiresAt'] as string;
    await this.timers.schedule(tenantId, EXPORT_END, expiresAt, { operationId } satisfies ExportEndPayload);
    const erasedAt = results['check']?.['checkedAt'] as string;
    await this.log.transact(tenantAggregate, { tenant: tenantId, command: command('erased') }, markErased(operationId, erasedAt));
    return null;
  }
}
