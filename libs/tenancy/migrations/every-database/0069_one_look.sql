-- Reading all locks costs half a millisecond on a server that has room for many. A change of one schema is a transaction of its own: it holds
-- none on tables of the product when it begins, and looks at the locks once, afterwards.

-- As run_app, which does not call it: the role that both run as may use nothing in this schema.
-- `held`: tables whose locks the transaction had before, which say nothing of these statements.
CREATE FUNCTION tenancy.run_app_since(held oid[], app_schema text, tenant uuid, statements text[], given text[], telling boolean) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  home oid := (SELECT n.oid FROM pg_namespace n WHERE n.nspname = app_schema);
  -- What was dropped: opened before and read after, it sees the catalogue as it was, and the locks as they are.
  touched CURSOR FOR
    SELECT FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
      WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation <> ALL (held)
        AND c.relowner = (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user)
        AND c.relnamespace NOT IN (home, 'pg_toast'::regnamespace)
    UNION ALL
    SELECT FROM pg_locks l JOIN pg_proc p ON p.oid = l.objid
      WHERE l.pid = pg_backend_pid() AND l.locktype = 'object' AND l.classid = 'pg_proc'::regclass AND l.mode = 'AccessExclusiveLock'
        AND p.pronamespace <> home;
  one record;
  statement text;
  at integer := 0;
  had bigint := 0;
  state text;
  said text;
  of_table text;
  of_column text;
  of_constraint text;
  is_elsewhere boolean := false;
BEGIN
  OPEN touched;
  PERFORM set_config('app.tenant_id', coalesce(tenant::text, ''), true);
  BEGIN
    PERFORM set_config('search_path', quote_ident(app_schema), true);
    FOREACH statement IN ARRAY statements LOOP
      at := at OPERATOR(pg_catalog.+) 1;
      EXECUTE statement USING given;
    END LOOP;
    GET DIAGNOSTICS had = ROW_COUNT;
  EXCEPTION WHEN OTHERS OR query_canceled OR assert_failure THEN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT,
      of_table = TABLE_NAME, of_column = COLUMN_NAME, of_constraint = CONSTRAINT_NAME;
    IF telling THEN
      RAISE SQLSTATE 'TG006' USING MESSAGE = format('%s in statement %s', state, at), DETAIL = said;
    END IF;
    -- The fields for names can hold anything where the SQL raises its own errors.
    RAISE SQLSTATE 'TG006' USING MESSAGE = format('%s in statement %s', state, at),
      TABLE = CASE WHEN of_table ~ '^\w{3,63}$' AND statements[at] ~ ('\m' || of_table || '\M')
        OR EXISTS (SELECT FROM pg_class c WHERE c.relname = of_table AND c.relnamespace = home) THEN of_table ELSE '' END,
      COLUMN = CASE WHEN of_column ~ '^\w{3,63}$' AND statements[at] ~ ('\m' || of_column || '\M')
        OR EXISTS (SELECT FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                   WHERE c.relname = of_table AND c.relnamespace = home AND a.attname = of_column) THEN of_column ELSE '' END,
      CONSTRAINT = CASE WHEN of_constraint ~ '^\w{3,63}$' AND statements[at] ~ ('\m' || of_constraint || '\M')
        OR EXISTS (SELECT FROM pg_constraint k WHERE k.conname = of_constraint AND k.connamespace = home)
        OR EXISTS (SELECT FROM pg_class c WHERE c.relname = of_constraint AND c.relnamespace = home) THEN of_constraint ELSE '' END;
  END;
  -- Whatever path and functions they have left: names from here on are PostgreSQL's own.
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  IF pg_stat_get_xact_tuples_deleted('pg_class'::regclass) + pg_stat_get_xact_tuples_deleted('pg_proc'::regclass) > 0 THEN
    FETCH touched INTO one;
    is_elsewhere := FOUND;
  END IF;
  CLOSE touched;
  is_elsewhere := is_elsewhere OR EXISTS (
    SELECT FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
      WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation <> ALL (held)
        AND c.relowner = (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user) AND c.relnamespace NOT IN (home, 'pg_toast'::regnamespace));
  -- Functions take no such lock. Rows that this transaction sees although who wrote them is still at it are its own.
  IF NOT is_elsewhere AND pg_stat_get_xact_tuples_inserted('pg_proc'::regclass) + pg_stat_get_xact_tuples_updated('pg_proc'::regclass) > 0 THEN
    is_elsewhere := EXISTS (
      SELECT FROM pg_proc p WHERE p.pronamespace <> home AND p.proowner = (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user)
        AND age(p.xmin) <= age(pg_current_xact_id()::xid)
        AND pg_xact_status((pg_current_xact_id()::text::numeric + age(pg_current_xact_id()::xid) - age(p.xmin))::text::xid8) = 'in progress');
  END IF;
  IF is_elsewhere THEN
    RAISE SQLSTATE 'TG007' USING MESSAGE = 'the SQL reached for another schema of the product';
  END IF;
  IF EXISTS (SELECT FROM pg_cursors WHERE is_holdable) THEN
    RAISE SQLSTATE 'TG007' USING MESSAGE = 'the SQL left a cursor that would run after its end';
  END IF;
  RETURN had;
END
$$;
REVOKE ALL ON FUNCTION tenancy.run_app_since(oid[], text, uuid, text[], text[], boolean) FROM PUBLIC;
-- Runs as its owner, who may be given a function in a schema where it may make one.
GRANT CREATE ON SCHEMA tenancy TO tenantry_app_owner;
ALTER FUNCTION tenancy.run_app_since(oid[], text, uuid, text[], text[], boolean) OWNER TO tenantry_app_owner;
REVOKE CREATE ON SCHEMA tenancy FROM tenantry_app_owner;
GRANT EXECUTE ON FUNCTION tenancy.run_app_since(oid[], text, uuid, text[], text[], boolean) TO tenantry_owner;

CREATE OR REPLACE FUNCTION tenancy.change_app(app_schema text, tenant uuid, generation bigint, tenant_role text, advances jsonb, statements text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  advance record;
  faults text[];
BEGIN
  IF app_schema NOT LIKE 'app\_%' THEN
    RAISE EXCEPTION '% is no schema of the product', app_schema;
  END IF;
  IF generation IS NOT NULL THEN
    PERFORM tenancy.enter_tenant(tenant, generation);
  END IF;
  FOR advance IN SELECT * FROM jsonb_to_recordset(advances) AS a (blueprint text, "from" integer, versions integer[], checksums text[]) LOOP
    PERFORM tenancy.advance_app(app_schema, advance.blueprint, advance."from", advance.versions, advance.checksums);
  END LOOP;
  -- Once: each change of a schema's rights makes the session plan everything again.
  IF NOT has_schema_privilege('tenantry_app_owner', app_schema, 'CREATE') OR NOT has_schema_privilege('tenantry_app_owner', app_schema, 'USAGE') THEN
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO tenantry_app_owner', app_schema);
  END IF;
  -- What waits for the end of the transaction would run after the look.
  PERFORM tenancy.run_app_since('{}', app_schema, tenant, array_append(statements, 'SET CONSTRAINTS ALL IMMEDIATE'), NULL, false);
  -- run_app has put the path right for itself; here it is what the SQL may have left.
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  faults := tenancy.app_faults(app_schema, tenant, tenant_role);
  IF cardinality(faults) > 0 THEN
    RAISE SQLSTATE 'TG007' USING MESSAGE = array_to_string(faults[1:5], '; ');
  END IF;
END
$$;
