-- The operator's SQL runs in sessions of tenantry_blueprints: a login that is a member of nothing, owns nothing, and may call what is
-- granted to it here. So whatever the SQL is, no right of the control plane is within its reach.

-- Runs statements on a schema of the product, as the role that owns its tables. In a function of that role's: there PostgreSQL refuses
-- what would end it (SET ROLE, RESET ROLE, SET SESSION AUTHORIZATION, COMMIT). Answers how many rows the last statement had.
-- `given`: the statements' $1. `telling`: errors are passed on as they are, for schemas without rows of tenants.
-- `held`: tables whose locks the transaction had before, which say nothing of these statements; looked up unless given. Reading all locks costs
-- half a millisecond on a server that has room for many.
-- The rights on schemas stay as they are: each change of one makes a session plan everything again, and plans are kept from one schema to the next.
-- TG006: one of them failed; says its number, the SQLSTATE, and names that the schema or the SQL has; never what a row holds.
-- TG007: they touched other schemas of the product, or would go on after their end.
CREATE FUNCTION tenancy.run_app(app_schema text, tenant uuid, statements text[], given text[] DEFAULT NULL, telling boolean DEFAULT false, held oid[] DEFAULT NULL) RETURNS bigint
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
  held := coalesce(held, ARRAY(SELECT l.relation FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'));
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

-- What is not as the platform has it in a schema of the product: row-level security, rights, functions. Of objects of
-- tenantry_app_owner, which blueprints make; `tenant` is null for app_shared. Found by their dependency on the schema, which has an index.
CREATE FUNCTION tenancy.app_faults(app_schema text, tenant uuid, tenant_role text) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN (WITH space AS (SELECT oid FROM pg_namespace WHERE nspname = app_schema),
  owner AS (SELECT oid FROM pg_roles WHERE rolname = 'tenantry_app_owner'),
  member AS (SELECT d.classid, d.objid FROM pg_depend d, space
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = space.oid AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass)),
  rel AS (SELECT c.oid, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.relowner, t.attnum AS tenant_column,
      t.atttypid = 'uuid'::regtype AND t.attnotnull
        AND pg_get_expr(d.adbin, d.adrelid) ~ '^\(?current_setting\(''app\.tenant_id''(::text)?\)\)?::uuid$' AS says_whose
    FROM member m JOIN pg_class c ON c.oid = m.objid JOIN owner ON owner.oid = c.relowner
    LEFT JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'tenant_id' AND NOT t.attisdropped AND c.relkind IN ('r', 'p')
    LEFT JOIN pg_attrdef d ON d.adrelid = t.attrelid AND d.adnum = t.attnum
    WHERE m.classid = 'pg_class'::regclass),
  tab AS (SELECT * FROM rel WHERE relkind IN ('r', 'p')),
  fault (line) AS (
    SELECT relname || ': row-level security is not forced' FROM tab WHERE NOT (relrowsecurity AND relforcerowsecurity)
    UNION ALL
    SELECT relname || ': its policy is not the platform’s' FROM tab WHERE NOT coalesce((
      SELECT count(*) = 1 AND bool_and(p.polcmd = '*' AND p.polpermissive AND p.polroles = ARRAY[0::oid] AND p.polwithcheck IS NULL
        AND (pg_get_expr(p.polqual, p.polrelid) = '(tenant_id = (current_setting(''app.tenant_id''::text))::uuid)'
          OR pg_get_expr(p.polqual, p.polrelid) = format('((current_setting(''app.tenant_id''::text))::uuid = %L::uuid)', tenant)))
      FROM pg_policy p WHERE p.polrelid = tab.oid), false)
    UNION ALL
    SELECT relname || ': its column tenant_id is not that of shared tables' FROM tab WHERE tenant IS NULL AND says_whose IS NOT TRUE
    UNION ALL
    SELECT relname || ': a unique key does not begin with tenant_id' FROM tab WHERE tenant IS NULL
      AND EXISTS (SELECT FROM pg_index x WHERE x.indrelid = tab.oid AND (x.indisunique OR x.indisexclusion) AND x.indkey[0] IS DISTINCT FROM tab.tenant_column)
    UNION ALL
    SELECT tab.relname || ': a foreign key does not lead from tenant_id to tenant_id' FROM tab JOIN pg_constraint k ON k.conrelid = tab.oid AND k.contype = 'f'
      WHERE tenant IS NULL AND (k.conkey[1] IS DISTINCT FROM tab.tenant_column
        OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = k.confkey[1] AND a.attname = 'tenant_id'))
    UNION ALL
    SELECT relname || ': it is no kind of relation that a blueprint makes' FROM rel
      WHERE relkind NOT IN ('r', 'p', 'i', 'I', 'S', 'v', 'm', 'c') OR relkind = 'm' AND tenant IS NULL
    UNION ALL
    SELECT relname || ': others than the tenant have rights' FROM rel
      WHERE EXISTS (SELECT FROM aclexplode(relacl) e WHERE e.grantee <> relowner AND e.grantee <> coalesce((SELECT r.oid FROM pg_roles r WHERE r.rolname = tenant_role), 0))
         OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = rel.oid AND a.attacl IS NOT NULL)
    UNION ALL
    SELECT relname || ': the tenant lacks rights, or has more than it should' FROM rel WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
      AND coalesce((SELECT string_agg(e.privilege_type, ',' ORDER BY e.privilege_type) FROM aclexplode(relacl) e WHERE e.grantee <> relowner), '')
        <> CASE relkind WHEN 'S' THEN 'SELECT,USAGE' ELSE 'DELETE,INSERT,SELECT,UPDATE' END
    UNION ALL
    SELECT p.proname || '(): it would run with other rights or settings than its caller’s'
    FROM member m JOIN pg_proc p ON p.oid = m.objid JOIN owner ON owner.oid = p.proowner JOIN pg_language l ON l.oid = p.prolang
    WHERE m.classid = 'pg_proc'::regclass AND (p.prosecdef OR p.proconfig IS NOT NULL OR l.lanname NOT IN ('sql', 'plpgsql'))
  )
  SELECT coalesce(array_agg(line ORDER BY line), '{}') FROM fault);
END
$$;

-- Takes a schema of the product forward, in the caller's transaction: gate, ledger, SQL, and a look at what is there afterwards.
-- `generation`: of the placement; null where nobody uses the schema yet. `advances`: [{blueprint, from, versions, checksums}].
-- As advance_app and run_app; TG007 also where row-level security or rights are not as they must be, with what is wrong.
CREATE FUNCTION tenancy.change_app(app_schema text, tenant uuid, generation bigint, tenant_role text, advances jsonb, statements text[]) RETURNS void
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
  PERFORM tenancy.run_app(app_schema, tenant, array_append(statements, 'SET CONSTRAINTS ALL IMMEDIATE'), held => '{}');
  -- run_app has put the path right for itself; here it is what the SQL may have left.
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  faults := tenancy.app_faults(app_schema, tenant, tenant_role);
  IF cardinality(faults) > 0 THEN
    RAISE SQLSTATE 'TG007' USING MESSAGE = array_to_string(faults[1:5], '; ');
  END IF;
END
$$;

REVOKE ALL ON FUNCTION tenancy.run_app(text, uuid, text[], text[], boolean, oid[]), tenancy.app_faults(text, uuid, text),
  tenancy.change_app(text, uuid, bigint, text, jsonb, text[]) FROM PUBLIC;
GRANT USAGE ON SCHEMA tenancy TO tenantry_blueprints;
GRANT EXECUTE ON FUNCTION tenancy.run_app(text, uuid, text[], text[], boolean, oid[]), tenancy.change_app(text, uuid, bigint, text, jsonb, text[]) TO tenantry_blueprints;

-- Runs as its owner, who may be given a function in a schema where it may make one.
GRANT CREATE ON SCHEMA tenancy TO tenantry_app_owner;
ALTER FUNCTION tenancy.run_app(text, uuid, text[], text[], boolean, oid[]) OWNER TO tenantry_app_owner;
REVOKE CREATE ON SCHEMA tenancy FROM tenantry_app_owner;
GRANT EXECUTE ON FUNCTION tenancy.run_app(text, uuid, text[], text[], boolean, oid[]) TO tenantry_owner;
