-- Where tenants can live. `url_secret` names the secret with the owner's URL; null for the server of this database.
CREATE TABLE tenancy.servers (
  name varchar(63) PRIMARY KEY,
  url_secret varchar(200),
  region varchar(50),
  -- How many tenants it takes; null: no limit.
  capacity integer CHECK (capacity >= 0)
);
INSERT INTO tenancy.servers (name) VALUES ('default');

-- Where each tenant lives. Every service reads it, only provisioning writes.
CREATE TABLE tenancy.placements (
  tenant_id uuid PRIMARY KEY,
  isolation varchar(9) NOT NULL CHECK (isolation IN ('shared', 'dedicated', 'isolated')),
  server varchar(63) NOT NULL REFERENCES tenancy.servers,
  database varchar(63) NOT NULL,
  schema varchar(63) NOT NULL,
  app_schema varchar(63) NOT NULL,
  role varchar(63) NOT NULL,
  generation bigint NOT NULL CHECK (generation >= 1),
  worker_group varchar(100) NOT NULL,
  -- The tables exist and may be used.
  ready boolean NOT NULL DEFAULT false,
  -- An isolated login's password: {"enc": …}, encrypted with the tenant's key. Gone with the key.
  login_secret text,
  updated_at timestamptz NOT NULL DEFAULT now()
);

GRANT USAGE ON SCHEMA tenancy TO tenantry_services;
GRANT SELECT ON tenancy.placements, tenancy.servers, tenancy.tenant_gate TO tenantry_services;
GRANT EXECUTE ON FUNCTION tenancy.enter_tenant(uuid, bigint), tenancy.tenant_lock(uuid) TO tenantry_services;
GRANT INSERT, UPDATE, DELETE ON tenancy.placements, tenancy.tenant_gate TO tenantry_provisioning;
