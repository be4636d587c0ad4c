-- Shared tables in further databases. The role of those who live in them: in the control plane's database tenantry_shared, in each other
-- one of its own, which is there from the moment that it is said here; null where nobody has asked for shared tables. `shared_ready`: role,
-- tables and the product's versions are there, so that tenants may come.
ALTER TABLE tenancy.databases
  ADD COLUMN shared_role varchar(63),
  ADD COLUMN shared_ready boolean NOT NULL DEFAULT false;
UPDATE tenancy.databases SET shared_role = 'tenantry_shared', shared_ready = true WHERE server = 'default' AND name = 'tenantry';

-- What the ledgers of these databases say of their app_shared, all of which have one name. Each ledger decides in its own database; the copy
-- here is what campaigns are planned with.
CREATE TABLE tenancy.shared_ledger (
  server varchar(63) NOT NULL,
  database varchar(63) NOT NULL,
  blueprint varchar(50) NOT NULL,
  version integer NOT NULL,
  -- SHA-256 of the version's SQL, hex.
  checksum char(64) NOT NULL,
  PRIMARY KEY (server, database, blueprint, version),
  FOREIGN KEY (server, database) REFERENCES tenancy.databases
);
GRANT SELECT, INSERT ON tenancy.shared_ledger TO tenantry_provisioning;
