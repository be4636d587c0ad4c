-- Password of the login that the operator's SQL runs with on that server, kept like the platform's own.
ALTER TABLE tenancy.servers ADD COLUMN app_login_secret text;

-- An empty schema to try the operator's SQL on, for a transaction that is rolled back. Named as tenants' are; one that exists is refused.
CREATE FUNCTION tenancy.make_scratch(app_schema text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF app_schema !~ '^app_[0-9a-f]{32}$' THEN
    RAISE EXCEPTION '% is not the name of a scratch schema', app_schema;
  END IF;
  EXECUTE format('CREATE SCHEMA %I', app_schema);
  EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO tenantry_app_owner', app_schema);
  -- What reads the catalogue sees names without their schema only where it may use the schema.
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO tenantry_blueprints', app_schema);
END
$$;
REVOKE ALL ON FUNCTION tenancy.make_scratch(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenancy.make_scratch(text) TO tenantry_blueprints;
