-- Tenant roles that are granted to the bucket already and only want their name. Every GRANT of a role makes every backend
-- read all memberships again at its next SET ROLE (0.9 ms with 500 of them, on each connection of each service); a rename does not.
CREATE TABLE tenancy.spare_roles (name varchar(63) PRIMARY KEY);
GRANT SELECT, INSERT, UPDATE, DELETE ON tenancy.spare_roles TO tenantry_provisioning;

-- Makes `count` of them in the caller's transaction; none where another transaction is at it.
CREATE FUNCTION tenancy.prepare_roles(count integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  names text[];
BEGIN
  IF NOT pg_catalog.pg_try_advisory_xact_lock(7266318502) THEN
    RETURN;
  END IF;
  SELECT pg_catalog.array_agg('tenantry_spare_' || replace(gen_random_uuid()::text, '-', '')) INTO names
    FROM pg_catalog.generate_series(1, count);
  FOR at IN 1..count LOOP
    EXECUTE pg_catalog.format('CREATE ROLE %I', names[at]);
  END LOOP;
  EXECUTE pg_catalog.format('GRANT %s TO tenantry_bucket_0 WITH INHERIT FALSE, SET TRUE', pg_catalog.array_to_string(names, ', '));
  INSERT INTO tenancy.spare_roles SELECT unnest(names);
END
$$;

-- A role of that name, granted to the bucket: a spare one, or a new one. Answers how many spare ones are left.
CREATE FUNCTION tenancy.take_role(wanted text) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  spare text;
BEGIN
  DELETE FROM tenancy.spare_roles
    WHERE name = (SELECT name FROM tenancy.spare_roles LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING name INTO spare;
  IF spare IS NULL THEN
    EXECUTE pg_catalog.format('CREATE ROLE %I', wanted);
    EXECUTE pg_catalog.format('GRANT %I TO tenantry_bucket_0 WITH INHERIT FALSE, SET TRUE', wanted);
  ELSE
    EXECUTE pg_catalog.format('ALTER ROLE %I RENAME TO %I', spare, wanted);
  END IF;
  RETURN (SELECT pg_catalog.count(*) FROM tenancy.spare_roles);
END
$$;
REVOKE ALL ON FUNCTION tenancy.prepare_roles(integer), tenancy.take_role(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenancy.prepare_roles(integer), tenancy.take_role(text) TO tenantry_provisioning;
