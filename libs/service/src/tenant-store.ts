/** A store of tenants' data that is no table, by its name in the registry. Found among the providers of its owner's modules. */
export abstract class TenantStore {
  abstract readonly store: string;
  /** What `count` and `kept` look at. Stands in the certificate. */
  abstract readonly query: string;
  /** Removes what it holds of the tenant. Idempotent. */
  abstract erase(tenantId: string): Promise<void>;
  /** How much of the tenant is left of what erasing removes. */
  abstract count(tenantId: string): Promise<number>;
  /** How much of the tenant stays. */
  async kept(_tenantId: string): Promise<number> {
    return 0;
  }
}
