import { Injectable } from '@nestjs/common';
import { consumerServices, oversightOf } from '@tenantry/contracts/platform/consumers';
import { Keyring } from '@tenantry/crypto/keyring';
import { EventStore } from '@tenantry/event-store/port';
import { RpcClient } from '@tenantry/messaging/rpc';
import { Bus } from '@tenantry/service/bus';
import { Storage } from '@tenantry/tenancy/storage';
import { Tenants } from '@tenantry/tenancy/tenants';
import { askAll } from '../oversight/fan-out.js';
import { type Check, failed, notApplicable, ok, type Result, warning } from './finding.js';

const SLOW_MS = 1_000;
const LOOKED_AT = 200;
const FILES = 100_000;
const NO_MESSAGE = 404;

/** What the tenant has: its place, its rows, its keys, its files, its log, and what is made of that. */
@Injectable()
export class DataChecks {
  constructor(
    private readonly tenants: Tenants,
    private readonly keyring: Keyring,
    private readonly storage: Storage,
    private readonly store: EventStore,
    private readonly rpc: RpcClient,
    private readonly bus: Bus,
  ) {}

  of(tenantId: string): Check[] {
    return [
      { check: 'placement', look: () => this.placement(tenantId) },
      { check: 'database', look: () => this.database(tenantId) },
      { check: 'keys', look: () => this.keys(tenantId) },
      { check: 'storage', look: () => this.files(tenantId) },
      { check: 'data-integrity', look: () => this.integrity(tenantId) },
      { check: 'read-models', look: () => this.readModels(tenantId) },
      { check: 'recent-errors', look: () => this.parked(tenantId) },
      { check: 'events', look: () => this.published(tenantId) },
    ];
  }

  private async placement(tenantId: string): Promise<Result> {
    const placement = await this.tenants.placement(tenantId, { fresh: true });
    if (!placement) return failed('The tenant has no place', 'Retry its provisioning: POST …/retry');
    const where = `${placement.isolation}, schema ${placement.schema} of ${placement.database} on ${placement.server}`;
    return placement.ready ? ok(where) : failed(`Its place is not ready: ${where}`, 'Retry its provisioning: POST …/retry');
  }

  private async database(tenantId: string): Promise<Result> {
    const begun = performance.now();
    const { bytes, tables } = await this.tenants.withTenant(tenantId, async ({ client, placement }) => {
      const { rows } = await client.query<{ bytes: string; tables: number }>(
        `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) AS bytes, count(*)::int AS tables
         FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r'`,
        [placement.schema],
      );
      return { bytes: Number(rows[0]?.bytes), tables: rows[0]?.tables ?? 0 };
    });
    const tookMs = Math.round(performance.now() - begun);
    const found = `${tables} tables with ${bytes} bytes, answered in ${tookMs} ms`;
    return tookMs > SLOW_MS
      ? warning(`The database is slow: ${found}`, 'Look for long queries and locks in pg_stat_activity, and at the load of its server')
      : ok(found);
  }

  private async keys(tenantId: string): Promise<Result> {
    const sealed = await this.keyring.encrypt(tenantId, 'config', tenantId);
    return (await this.keyring.reveal<string>(tenantId, sealed)) === tenantId
      ? ok('Its keys encrypt and decrypt')
      : failed('What its keys encrypted did not come back', 'Look at the log of identity');
  }

  private async files(tenantId: string): Promise<Result> {
    let files = 0;
    let bytes = 0;
    for await (const file of this.storage.list(tenantId)) {
      files += 1;
      bytes += file.bytes;
      if (files === FILES) return ok(`More than ${FILES} files`);
    }
    return ok(`${files} files with ${bytes} bytes`);
  }

  /** The newest part of the log has no gap, and ends where the log says. */
  private async integrity(tenantId: string): Promise<Result> {
    const [head] = await this.store.heads({ tenantIds: [tenantId] });
    if (!head) return failed('The tenant has no log', 'Restore the log from a backup');
    const from = Math.max(0, head.position + 1 - LOOKED_AT);
    const { events } = await this.store.readLog(tenantId, from, { limit: LOOKED_AT });
    const gap = events.findIndex((event, index) => event.position !== from + index || event.tenantId !== tenantId);
    if (gap >= 0 || (events.at(-1)?.position ?? -1) < head.position)
      return failed(`The log has a gap at position ${from + Math.max(gap, 0)}`, 'Stop writing to it and restore the log from a backup');
    return ok(`Positions ${from} to ${head.position} are there without a gap`);
  }

  private async readModels(tenantId: string): Promise<Result> {
    const { answers, unanswered } = await askAll(consumerServices, (service) =>
      this.rpc.call(oversightOf(service).consumers, { after: null, limit: 200, tenantId }),
    );
    const all = answers.flatMap(({ answer }) => answer.items);
    const stuck = all.find(({ state }) => state !== 'running');
    if (stuck)
      return failed(
        `${stuck.consumer} of ${stuck.service} is ${stuck.state} at position ${stuck.position} of ${stuck.head}: ${stuck.error ?? 'no reason known'}`,
        stuck.state === 'parked' ? 'GET /api/v1/platform/parked, then retry or skip it' : `Look at the log of ${stuck.service}`,
      );
    if (unanswered.length > 0)
      return failed(`No answer of ${unanswered.map(({ service }) => service).join(', ')}`, 'Bring these processes back: npm run doctor');
    const behind = Math.max(0, ...all.map(({ head, position }) => head - position));
    return ok(`${all.length} consumers, at most ${behind} events behind`);
  }

  private async parked(tenantId: string): Promise<Result> {
    const { answers } = await askAll(consumerServices, (service) =>
      this.rpc.call(oversightOf(service).parked, { after: null, limit: 100, tenantId }),
    );
    const items = answers.flatMap(({ answer }) => answer.items);
    const [first] = items;
    return first
      ? failed(
          `${items.length} things could not be handled, first ${first.kind} ${first.type} in ${first.service}: ${first.error ?? ''}`,
          `POST /api/v1/platform/parked/${first.id}/retry when its cause is mended`,
        )
      : ok('Nothing waits that could not be handled');
  }

  /** Its last event is on the bus. */
  private async published(tenantId: string): Promise<Result> {
    const [head] = await this.store.heads({ tenantIds: [tenantId] });
    const request = JSON.stringify({ last_by_subj: `tenantry.events.${tenantId}.>` });
    const reply = await this.bus.connection.request('$JS.API.STREAM.MSG.GET.TENANTRY_EVENTS', request, { timeout: 3_000 });
    const answer = reply.json<{ error?: { code: number; description: string }; message?: { hdrs?: string } }>();
    if (answer.error?.code === NO_MESSAGE) return notApplicable('Its events are older than what the broker keeps');
    if (answer.error) return failed('The broker could not look its events up', 'Look at the state of the stream TENANTRY_EVENTS');
    const headers = Buffer.from(answer.message?.hdrs ?? '', 'base64').toString();
    const position = Number(/^ce-position: *(\d+)/im.exec(headers)?.[1] ?? Number.NaN);
    const last = head?.position ?? -1;
    return position >= last
      ? ok(`Published up to position ${position}`)
      : warning(
          `The last event on the bus has position ${position}, the log goes to ${last}`,
          'Wait a moment; if it stays, look at the log of relay',
        );
  }
}
