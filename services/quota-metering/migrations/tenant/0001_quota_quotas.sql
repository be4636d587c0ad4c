-- The tenant's limits as of its events. What is used of them is in the service's ledger.
CREATE TABLE quota_quotas (
  tenant_id uuid NOT NULL,
  resource varchar(63) NOT NULL,
  kind varchar(20) NOT NULL,
  unit varchar(20) NOT NULL,
  -- Null is unlimited.
  quota_limit bigint,
  source varchar(20) NOT NULL,
  -- End of the first period; null for what never starts again.
  reset_date timestamptz,
  PRIMARY KEY (tenant_id, resource)
);
