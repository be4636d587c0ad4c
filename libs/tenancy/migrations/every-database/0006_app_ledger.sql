-- In every database that holds tenants: which version of which blueprint each schema of the product has. Written in the very
-- transaction that takes the schema there, so that it is never ahead or behind.
CREATE TABLE tenancy.app_ledger (
  app_schema varchar(63) NOT NULL,
  blueprint varchar(50) NOT NULL,
  version integer NOT NULL,
  -- SHA-256 of the version's SQL, hex.
  checksum char(64) NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (app_schema, blueprint, version)
);

-- Writes down that a schema goes from one version of a blueprint to others, in the transaction that takes it there. One at a time
-- per schema and blueprint; TG004 where it isn't at the version that the caller thinks.
CREATE FUNCTION tenancy.advance_app(schema text, name text, from_version integer, versions integer[], checksums text[]) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  found_version integer;
BEGIN
  PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(schema || ' ' || name, 4712));
  SELECT coalesce(pg_catalog.max(l.version), 0) INTO found_version FROM tenancy.app_ledger l WHERE l.app_schema = schema AND l.blueprint = name;
  IF found_version <> from_version THEN
    RAISE SQLSTATE 'TG004' USING MESSAGE = pg_catalog.format('%s is at version %s of %s', schema, found_version, name);
  END IF;
  INSERT INTO tenancy.app_ledger (app_schema, blueprint, version, checksum)
    SELECT schema, name, given.version, given.checksum FROM unnest(versions, checksums) AS given (version, checksum);
END
$$;
REVOKE ALL ON FUNCTION tenancy.advance_app(text, text, integer, integer[], text[]) FROM PUBLIC;
