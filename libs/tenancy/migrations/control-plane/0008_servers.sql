-- Servers beside that of this database: they take tenants that have a database of their own.
ALTER TABLE tenancy.servers
  DROP COLUMN url_secret,
  -- Without a login; its path names the database that the platform's login connects to. Null for the server of this database.
  ADD COLUMN url varchar(2000),
  -- Password of the platform's login there: {"enc": …}, encrypted with the platform's key.
  ADD COLUMN login_secret text,
  -- Roles and login are there: it takes tenants.
  ADD COLUMN ready boolean NOT NULL DEFAULT false;
UPDATE tenancy.servers SET ready = true;

-- Who takes up room where, from the choice of a place until it is dropped; of a tenant that is being moved, two.
CREATE TABLE tenancy.server_places (
  tenant_id uuid NOT NULL,
  server varchar(63) NOT NULL REFERENCES tenancy.servers,
  PRIMARY KEY (tenant_id, server)
);
CREATE INDEX server_places_server ON tenancy.server_places (server);
INSERT INTO tenancy.server_places (tenant_id, server) SELECT tenant_id, server FROM tenancy.placements;

-- Everybody finds isolated tenants' servers; what opens the login there is provisioning's.
REVOKE SELECT ON tenancy.servers FROM tenantry_services;
GRANT SELECT (name, url, region, capacity, ready) ON tenancy.servers TO tenantry_services;
GRANT SELECT (name, url, ready) ON tenancy.servers TO tenantry_product;
GRANT SELECT, INSERT, UPDATE ON tenancy.servers TO tenantry_provisioning;
GRANT SELECT, INSERT, DELETE ON tenancy.server_places TO tenantry_provisioning;
