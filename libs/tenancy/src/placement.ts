import type { Isolation } from '@tenantry/contracts/values';

/** Where a tenant lives. Kept in `tenancy.placements` of the control-plane database; every service may read it, only provisioning writes. */
export interface Placement {
  tenantId: string;
  isolation: Isolation;
  server: string;
  database: string;
  /** Control-plane rows of the tenant: `t_<key>`, or `shared`. */
  schema: string;
  /** The operator's product: `app_<key>`, or `app_shared`. */
  appSchema: string;
  /** `t_<key>`, or `tenantry_shared`, in a further database with its name behind. */
  role: string;
  /** Grows with every move; a stale cache is refused by `tenant_gate`. */
  generation: number;
  workerGroup: string;
  /** The tables exist and may be used. */
  ready: boolean;
}
