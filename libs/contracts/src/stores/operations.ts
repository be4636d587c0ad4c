import { z } from 'zod';
import { operation, type ServiceName, services } from '../route.js';
import { Uuid } from '../values.js';

const callers = ['provisioning'] as const;
const names = z.array(z.string().max(200)).max(500);
/** Texts of a row's primary key; null: the first page, or that there is no other. */
const After = z.array(z.string()).max(32).nullable();

const calls = (owner: ServiceName) => ({
  /** Removes what the stores hold of the tenant, in their order. Idempotent. */
  erase: operation({
    name: 'stores.erase',
    owner,
    callers,
    timeoutMs: 60_000,
    input: z.object({ tenantId: Uuid, stores: names }),
    output: z.object({}),
  }),
  /** What is in each of the tenant: `found` of what erasing removes, `kept` of what stays; `query` says what was looked at. */
  check: operation({
    name: 'stores.check',
    owner,
    callers,
    timeoutMs: 60_000,
    input: z.object({ tenantId: Uuid, stores: names }),
    output: z.object({
      found: z.array(
        z.object({ name: z.string(), found: z.number().int().min(0), kept: z.number().int().min(0), query: z.string().max(2_000) }),
      ),
    }),
  }),
  /** A page of what an exported table has of the tenant, as it is stored; `next` goes into `after` for the one that follows. */
  page: operation({
    name: 'stores.page',
    owner,
    callers,
    timeoutMs: 30_000,
    input: z.object({ tenantId: Uuid, store: z.string().max(200), after: After }),
    output: z.object({ rows: z.array(z.record(z.string(), z.json())), next: After }),
  }),
});
export type StoreCalls = ReturnType<typeof calls>;

const byService = new Map(services.map((name) => [name, calls(name)]));
/** What a service is asked about its stores. */
export const storeCallsOf = (service: ServiceName): StoreCalls => byService.get(service) as StoreCalls;
