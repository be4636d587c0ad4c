-- Tenants whose erasure has come so far that no row of theirs may be written any more. Never deleted: a rebuild, a projection that lags,
-- or a process that was frozen meets it years later. The log says the same (TenantErasureStarted); here a statement finds it by itself.
CREATE TABLE tenancy.erased (
  tenant_id    uuid        PRIMARY KEY,
  operation_id uuid        NOT NULL,
  since        timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON tenancy.erased TO tenantry_services;
GRANT INSERT ON tenancy.erased TO tenantry_provisioning;

-- What the registry of stores puts on every table from which a tenant's rows go (libs/tenancy/src/erased-fence.ts). Each looks with a
-- snapshot of its own, taken after its statement has locked the table: whoever doesn't see the mark held that lock before it was there,
-- and the erasure waits for him.

-- Argument: the column with the tenant's id, where it is not `tenant_id`.
CREATE FUNCTION tenancy.skip_erased() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  tenant uuid;
BEGIN
  IF TG_NARGS = 0 THEN
    tenant := NEW.tenant_id;
  ELSE
    EXECUTE pg_catalog.format('SELECT ($1).%I', TG_ARGV[0]) INTO tenant USING NEW;
  END IF;
  IF EXISTS (SELECT FROM tenancy.erased e WHERE e.tenant_id = tenant) THEN
    RETURN NULL;
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION tenancy.refuse_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM tenancy.erased e WHERE e.tenant_id = NEW.tenant_id) THEN
    RAISE EXCEPTION 'the tenant was erased' USING ERRCODE = 'TN410';
  END IF;
  RETURN NEW;
END $$;

-- Argument: what the columns are emptied to, as a JSON object.
CREATE FUNCTION tenancy.empty_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM tenancy.erased e WHERE e.tenant_id = NEW.tenant_id) THEN
    NEW := pg_catalog.jsonb_populate_record(NEW, TG_ARGV[0]::jsonb);
  END IF;
  RETURN NEW;
END $$;
