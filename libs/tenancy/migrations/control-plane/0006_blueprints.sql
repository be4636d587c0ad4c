-- The operator's product: what a blueprint is, and what was worked out about each of its versions when it was accepted.
CREATE TABLE tenancy.blueprints (
  name varchar(50) PRIMARY KEY,
  supports_shared boolean NOT NULL,
  status varchar(7) NOT NULL CHECK (status IN ('active', 'retired')),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  -- Of the stream that this was written from: an older one never takes the place of a newer.
  stream_version bigint NOT NULL
);
CREATE TABLE tenancy.blueprint_versions (
  blueprint varchar(50) NOT NULL REFERENCES tenancy.blueprints,
  version integer NOT NULL,
  sql text NOT NULL,
  sha256 char(64) NOT NULL,
  statements integer NOT NULL,
  -- It changes rows: in app_shared that needs the sight of all tenants' rows.
  has_data boolean NOT NULL,
  -- All versions up to here are nothing but tables, columns, keys and indexes.
  foldable boolean NOT NULL,
  -- What gets row-level security and rights after the SQL, by name.
  stamp jsonb NOT NULL,
  -- The state of this version as one script, with its own stamp; null where versions have to be replayed.
  compiled text,
  compiled_stamp jsonb,
  -- What a schema holds afterwards: lines by object.
  objects jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (blueprint, version)
);
GRANT SELECT, INSERT, UPDATE ON tenancy.blueprints, tenancy.blueprint_versions TO tenantry_provisioning;
-- The ledger of another database decides there; its copy here is what campaigns are planned with.
GRANT SELECT, INSERT, DELETE ON tenancy.app_ledger TO tenantry_provisioning;
