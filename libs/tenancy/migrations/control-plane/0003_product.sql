-- The operator's product reaches its tables with logins of its own, which are members of tenantry_product:
--   CREATE ROLE shop LOGIN PASSWORD '…' IN ROLE tenantry_product;
-- They find tenants and enter them. Passwords of isolated tenants' logins they get over HTTP, one by one, with a key that may ask for them.
GRANT USAGE ON SCHEMA tenancy TO tenantry_product;
GRANT SELECT (tenant_id, isolation, server, database, schema, app_schema, role, generation, worker_group, ready) ON tenancy.placements TO tenantry_product;
GRANT SELECT ON tenancy.tenant_gate TO tenantry_product;
GRANT EXECUTE ON FUNCTION tenancy.enter_tenant(uuid, bigint), tenancy.tenant_lock(uuid) TO tenantry_product;
