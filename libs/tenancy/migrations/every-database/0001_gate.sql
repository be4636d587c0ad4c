-- In every database that holds tenants: who may come in, and with which generation of the placement.
CREATE TABLE tenancy.tenant_gate (
  tenant_id uuid PRIMARY KEY,
  generation bigint NOT NULL,
  state varchar(6) NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed'))
);

-- What a move locks exclusively, and every transaction of the tenant shares.
CREATE FUNCTION tenancy.tenant_lock(tenant uuid) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.hashtextextended(tenant::text, 4711);

-- The first statement of each transaction of a tenant. A try, never a wait: nobody may hold a connection before a closed gate.
-- TG001: closed. TG002: the caller's placement is an old one. TG003: the tenant is not in this database.
-- VOLATILE, so that the gate is read with a snapshot from after the lock.
-- Rights are the caller's: no SECURITY DEFINER, so there is nothing to gain from calling it.
CREATE FUNCTION tenancy.enter_tenant(tenant uuid, generation bigint) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  gate record;
BEGIN
  IF NOT pg_catalog.pg_try_advisory_xact_lock_shared(tenancy.tenant_lock(tenant)) THEN
    RAISE SQLSTATE 'TG001' USING MESSAGE = 'the tenant is being moved';
  END IF;
  SELECT g.state, g.generation INTO gate FROM tenancy.tenant_gate g WHERE g.tenant_id = tenant;
  IF NOT FOUND THEN
    RAISE SQLSTATE 'TG003' USING MESSAGE = 'the tenant is not in this database';
  ELSIF gate.generation <> enter_tenant.generation THEN
    RAISE SQLSTATE 'TG002' USING MESSAGE = 'the placement has changed';
  ELSIF gate.state <> 'open' THEN
    RAISE SQLSTATE 'TG001' USING MESSAGE = 'the tenant is being moved';
  END IF;
END
$$;
REVOKE ALL ON FUNCTION tenancy.enter_tenant(uuid, bigint), tenancy.tenant_lock(uuid) FROM PUBLIC;
