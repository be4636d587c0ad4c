-- Databases that many tenants have their schemas in: the control plane's own, and others beside it or on further servers.
CREATE TABLE tenancy.databases (
  server varchar(63) NOT NULL REFERENCES tenancy.servers,
  name varchar(63) NOT NULL,
  -- How many tenants it takes; null: no limit but the server's.
  capacity integer CHECK (capacity >= 0),
  -- Levels of which it takes further tenants; empty: it is closed to new ones.
  accepts varchar(9)[] NOT NULL,
  -- Password of the login that has the database's name: {"enc": …}, encrypted with the platform's key. Null for the control plane's, which
  -- every service reaches with a login of its own.
  login_secret text,
  -- Login, gate and ledger are there: it takes tenants.
  ready boolean NOT NULL DEFAULT false,
  PRIMARY KEY (server, name)
);
INSERT INTO tenancy.databases (server, name, accepts, ready) VALUES ('default', 'tenantry', '{shared,dedicated}', true);

-- Who takes up room in which of them, as in server_places; of a tenant that is being moved, two.
CREATE TABLE tenancy.database_places (
  tenant_id uuid NOT NULL,
  server varchar(63) NOT NULL,
  database varchar(63) NOT NULL,
  PRIMARY KEY (tenant_id, server, database),
  FOREIGN KEY (server, database) REFERENCES tenancy.databases
);
CREATE INDEX database_places_database ON tenancy.database_places (server, database);
INSERT INTO tenancy.database_places (tenant_id, server, database)
  SELECT tenant_id, server, database FROM tenancy.placements WHERE isolation <> 'isolated';

GRANT SELECT ON tenancy.databases TO tenantry_services;
GRANT SELECT, INSERT, UPDATE ON tenancy.databases TO tenantry_provisioning;
GRANT SELECT, INSERT, DELETE ON tenancy.database_places TO tenantry_provisioning;

-- Each database's login is a bucket of its own: it may become the tenants of that database and no others. Roles ahead of need are made
-- for the databases of this server.
ALTER TABLE tenancy.spare_roles ADD COLUMN bucket varchar(63) NOT NULL DEFAULT 'tenantry_bucket_0';
DROP FUNCTION tenancy.prepare_roles(integer), tenancy.take_role(text);

-- Makes `count` of them in the caller's transaction; none where another transaction is at it.
CREATE FUNCTION tenancy.prepare_roles(count integer, for_bucket text DEFAULT 'tenantry_bucket_0') RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  names text[];
BEGIN
  IF NOT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(for_bucket, 4715)) THEN
    RETURN;
  END IF;
  SELECT pg_catalog.array_agg('tenantry_spare_' || replace(gen_random_uuid()::text, '-', '')) INTO names
    FROM pg_catalog.generate_series(1, count);
  FOR at IN 1..count LOOP
    EXECUTE pg_catalog.format('CREATE ROLE %I', names[at]);
  END LOOP;
  EXECUTE pg_catalog.format('GRANT %s TO %I WITH INHERIT FALSE, SET TRUE', pg_catalog.array_to_string(names, ', '), for_bucket);
  INSERT INTO tenancy.spare_roles (name, bucket) SELECT unnest(names), for_bucket;
END
$$;

-- A role of that name, granted to the bucket: a spare one, or a new one. Answers how many spare ones are left.
CREATE FUNCTION tenancy.take_role(wanted text, for_bucket text DEFAULT 'tenantry_bucket_0') RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  spare text;
BEGIN
  DELETE FROM tenancy.spare_roles
    WHERE name = (SELECT name FROM tenancy.spare_roles WHERE bucket = for_bucket LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING name INTO spare;
  IF spare IS NULL THEN
    EXECUTE pg_catalog.format('CREATE ROLE %I', wanted);
    EXECUTE pg_catalog.format('GRANT %I TO %I WITH INHERIT FALSE, SET TRUE', wanted, for_bucket);
  ELSE
    EXECUTE pg_catalog.format('ALTER ROLE %I RENAME TO %I', spare, wanted);
  END IF;
  RETURN (SELECT pg_catalog.count(*) FROM tenancy.spare_roles WHERE bucket = for_bucket);
END
$$;
REVOKE ALL ON FUNCTION tenancy.prepare_roles(integer, text), tenancy.take_role(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenancy.prepare_roles(integer, text), tenancy.take_role(text, text) TO tenantry_provisioning;
