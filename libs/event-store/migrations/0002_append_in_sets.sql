-- append() as a handful of statements per group instead of some per command and event, and without waiting for one log's
-- lock while holding another's. Signature and rows stay as they were, with one outcome more:
--   skipped  another call holds the log's head: nothing was decided, the command may come again
-- and one more thing that a command may have: after, the id of the event that it expects at the version that it expects.
-- A call for one log alone waits for its head instead: it holds no other, so nobody waits in a circle.
CREATE OR REPLACE FUNCTION log.append(commands jsonb)
RETURNS TABLE (
  index integer, outcome text, first_position bigint, last_position bigint, recorded_us bigint[], leaves text[], previous bigint[]
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Kept plans find each row's partition while they run. They may be from when the tables were still empty: an index, looked up row by row, is
-- always right here. Making a schema, as each dedicated tenant's does, throws kept plans away in every session, and making those that look at all
-- partitions costs milliseconds: a call for one log plans for its one partition instead, each time.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
  may_write text[];
  -- One element per command, in the order of the tenants and, within one, in the order given.
  indexes integer[];
  tenants uuid[];
  ids text[];
  hmacs bytea[];
  streams text[];
  expected bigint[];
  afters uuid[];
  events jsonb[];
  lengths integer[];
  forbidden boolean[];
  before_in_stream integer[];
  before_with_id integer[];
  known_hmacs bytea[];
  known_firsts bigint[];
  known_lasts bigint[];
  -- The end of the command's stream: before it, then after it.
  versions bigint[];
  last_ids uuid[];
  outcomes text[];
  firsts bigint[];
  times timestamptz[];
  contexts jsonb[];
  -- One element per locked head, in the order of the tenants.
  locked uuid[];
  head_positions bigint[];
  head_times timestamptz[];
  head_contexts jsonb[];
  unlocked uuid[];
  at_head integer := 1;
  at_tenant uuid;
  has_head boolean;
  next_position bigint;
  last_time timestamptz;
  before integer;
  appended boolean := false;
  logs integer;
  one_log boolean;
  refused boolean := false;
  plans text;
BEGIN
  -- session_user is the login that called, whoever owns this function.
  SELECT array_agg(w.context) INTO may_write FROM log.writers w WHERE w.role = session_user;
  IF may_write IS NULL AND session_user <> 'tenantry_owner'
     AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = session_user AND r.rolsuper) THEN
    may_write := '{}';
  END IF;

  SELECT array_agg(c.ordinality - 1 ORDER BY c.n), array_agg(c.tenant ORDER BY c.n), array_agg(c.id ORDER BY c.n),
      array_agg(decode(c.hmac, 'hex') ORDER BY c.n), array_agg(c.stream ORDER BY c.n), array_agg(c.expected ORDER BY c.n),
      array_agg(c.after ORDER BY c.n), array_agg(c.events ORDER BY c.n), array_agg(jsonb_array_length(c.events) ORDER BY c.n),
      array_agg(may_write IS NOT NULL AND NOT jsonb_path_query_array(c.events, 'strict $[*].context') <@ to_jsonb(may_write) ORDER BY c.n),
      array_agg(c.before_in_stream ORDER BY c.n), array_agg(c.before_with_id ORDER BY c.n), count(DISTINCT c.tenant)
    INTO indexes, tenants, ids, hmacs, streams, expected, afters, events, lengths, forbidden, before_in_stream, before_with_id, logs
    FROM (
      SELECT p.*, lag(p.n) OVER (PARTITION BY p.tenant, p.stream ORDER BY p.n) AS before_in_stream,
        lag(p.n) OVER (PARTITION BY p.tenant, p.id ORDER BY p.n) AS before_with_id
      FROM (
        SELECT g.*, row_number() OVER (ORDER BY g.tenant, g.ordinality) AS n
        FROM ROWS FROM (jsonb_to_recordset(commands) AS (tenant uuid, id text, hmac text, stream text, expected bigint, after uuid, events jsonb))
          WITH ORDINALITY AS g(tenant, id, hmac, stream, expected, after, events, ordinality)
      ) p
    ) c;

  -- Commands are decided in two statements: those that lock, and those that see what was committed before the heads were locked.
  one_log := logs = 1;
  IF one_log THEN
    at_tenant := tenants[1];
    plans := set_config('plan_cache_mode', 'force_custom_plan', true);
    SELECT ARRAY[h.tenant_id], ARRAY[h.position], ARRAY[h.recorded_at], ARRAY[h.contexts]
      INTO locked, head_positions, head_times, head_contexts FROM log.heads h WHERE h.tenant_id = at_tenant FOR UPDATE;
    IF locked IS NULL AND -1 = ANY (expected) THEN
      INSERT INTO log.heads (tenant_id) VALUES (at_tenant) ON CONFLICT DO NOTHING;
      SELECT ARRAY[h.tenant_id], ARRAY[h.position], ARRAY[h.recorded_at], ARRAY[h.contexts]
        INTO locked, head_positions, head_times, head_contexts FROM log.heads h WHERE h.tenant_id = at_tenant FOR UPDATE;
    END IF;
    -- LIMIT: one look into an index for each command; a join might be made by reading a log's commands as a whole. The order asks for the index
    -- by stream; an event looked for by its version might, with plans from when the tables were empty, be looked for in the whole log.
    SELECT array_agg(k.request_hmac ORDER BY c.n), array_agg(k.first_position ORDER BY c.n), array_agg(k.last_position ORDER BY c.n),
        array_agg(coalesce(v.stream_version, -1) ORDER BY c.n), array_agg(v.id ORDER BY c.n)
      INTO known_hmacs, known_firsts, known_lasts, versions, last_ids
      FROM unnest(ids, streams) WITH ORDINALITY AS c(id, stream, n)
      LEFT JOIN LATERAL (SELECT * FROM log.commands k WHERE k.tenant_id = at_tenant AND k.command_id = c.id LIMIT 1) k ON true
      LEFT JOIN LATERAL (
        SELECT e.stream_version, e.id FROM log.events e
        WHERE e.tenant_id = at_tenant AND e.stream = c.stream ORDER BY e.stream_version DESC LIMIT 1
      ) v ON true;
    plans := set_config('plan_cache_mode', 'force_generic_plan', true);
    at_tenant := NULL;
  ELSE
    -- A log begins with a stream's first event. Its head is made before any head is locked, and in the tenants' order:
    -- two groups that made the same heads in another order, or locked some first, would wait for each other.
    IF -1 = ANY (expected) THEN
      INSERT INTO log.heads (tenant_id)
        SELECT DISTINCT c.tenant FROM unnest(tenants, expected) AS c(tenant, expected)
        WHERE c.expected = -1 AND NOT EXISTS (SELECT FROM log.heads h WHERE h.tenant_id = c.tenant)
        ORDER BY c.tenant
        ON CONFLICT DO NOTHING;
    END IF;
    SELECT array_agg(l.tenant_id ORDER BY l.tenant_id), array_agg(l.position ORDER BY l.tenant_id),
        array_agg(l.recorded_at ORDER BY l.tenant_id), array_agg(l.contexts ORDER BY l.tenant_id)
      INTO locked, head_positions, head_times, head_contexts
      FROM (
        SELECT h.* FROM (SELECT DISTINCT c.tenant FROM unnest(tenants) AS c(tenant)) t JOIN log.heads h ON h.tenant_id = t.tenant
        FOR UPDATE OF h SKIP LOCKED
      ) l;
    -- What is not locked is held by another call, or no log yet.
    IF cardinality(locked) IS DISTINCT FROM logs THEN
      SELECT array_agg(h.tenant_id) INTO unlocked
        FROM (SELECT DISTINCT c.tenant FROM unnest(tenants) AS c(tenant) WHERE locked IS NULL OR c.tenant <> ALL (locked)) t
        JOIN log.heads h ON h.tenant_id = t.tenant;
    END IF;
    SELECT array_agg(k.request_hmac ORDER BY c.n), array_agg(k.first_position ORDER BY c.n), array_agg(k.last_position ORDER BY c.n),
        array_agg(coalesce(v.stream_version, -1) ORDER BY c.n), array_agg(v.id ORDER BY c.n)
      INTO known_hmacs, known_firsts, known_lasts, versions, last_ids
      FROM unnest(tenants, ids, streams) WITH ORDINALITY AS c(tenant, id, stream, n)
      LEFT JOIN LATERAL (SELECT * FROM log.commands k WHERE k.tenant_id = c.tenant AND k.command_id = c.id LIMIT 1) k ON true
      LEFT JOIN LATERAL (
        SELECT e.stream_version, e.id FROM log.events e
        WHERE e.tenant_id = c.tenant AND e.stream = c.stream ORDER BY e.stream_version DESC LIMIT 1
      ) v ON true;
  END IF;

  outcomes := array_fill(NULL::text, ARRAY[cardinality(tenants)]);
  firsts := array_fill(NULL::bigint, ARRAY[cardinality(tenants)]);
  times := array_fill(NULL::timestamptz, ARRAY[cardinality(tenants)]);
  contexts := array_fill(NULL::jsonb, ARRAY[cardinality(tenants)]);
  -- Each command on what the one before it on the same log left.
  FOR n IN 1..cardinality(tenants) LOOP
    IF at_tenant IS DISTINCT FROM tenants[n] THEN
      at_tenant := tenants[n];
      WHILE locked[at_head] < at_tenant LOOP
        at_head := at_head + 1;
      END LOOP;
      has_head := coalesce(locked[at_head] = at_tenant, false);
      next_position := head_positions[at_head] + 1;
      last_time := head_times[at_head];
    END IF;
    IF NOT has_head THEN
      outcomes[n] := CASE WHEN at_tenant = ANY (unlocked) THEN 'skipped' ELSE 'conflict' END;
      refused := true;
      CONTINUE;
    END IF;
    before := before_in_stream[n];
    IF before IS NOT NULL THEN
      versions[n] := versions[before];
      last_ids[n] := last_ids[before];
    END IF;
    before := before_with_id[n];
    IF before IS NOT NULL THEN
      known_firsts[n] := known_firsts[before];
      known_lasts[n] := known_lasts[before];
      known_hmacs[n] := known_hmacs[before];
    END IF;

    IF known_firsts[n] IS NOT NULL THEN
      IF known_hmacs[n] IS DISTINCT FROM hmacs[n] THEN
        outcomes[n] := 'mismatch';
      ELSE
        outcomes[n] := 'repeated';
      END IF;
    ELSIF versions[n] <> expected[n] OR (afters[n] IS NOT NULL AND afters[n] IS DISTINCT FROM last_ids[n]) THEN
      outcomes[n] := 'conflict';
    ELSIF forbidden[n] THEN
      outcomes[n] := 'forbidden';
    ELSE
      outcomes[n] := 'appended';
      appended := true;
      firsts[n] := next_position;
      next_position := next_position + lengths[n];
      versions[n] := versions[n] + lengths[n];
      last_ids[n] := (events[n] -> -1 ->> 'id')::uuid;
      known_firsts[n] := firsts[n];
      known_lasts[n] := next_position - 1;
      known_hmacs[n] := hmacs[n];
      -- Strictly growing, so that "as of an instant" names one state.
      times[n] := greatest(clock_timestamp(), last_time + interval '1 microsecond');
      last_time := times[n] + (lengths[n] - 1) * interval '1 microsecond';
      contexts[n] := head_contexts[at_head];
      CONTINUE;
    END IF;
    refused := true;
  END LOOP;

  IF NOT appended OR refused THEN
    RETURN QUERY SELECT i.index, i.outcome, CASE WHEN i.outcome = 'repeated' THEN i.first END, CASE WHEN i.outcome = 'repeated' THEN i.last END,
        NULL::bigint[], NULL::text[], NULL::bigint[]
      FROM unnest(indexes, outcomes, known_firsts, known_lasts) AS i(index, outcome, first, last)
      WHERE i.outcome <> 'appended';
  END IF;
  IF NOT appended THEN
    RETURN;
  END IF;

  RETURN QUERY WITH given AS MATERIALIZED (
    SELECT c.n, c.tenant, c.stream, c.contexts, c.first + e.k - 1 AS position, c.expected + e.k AS stream_version,
      e.id, e.context, e.type, e.version, coalesce(e.data, 'null') AS data, e.metadata, decode(e.hash, 'hex') AS body_hash,
      c.at + (e.k - 1) * interval '1 microsecond' AS recorded_at,
      (extract(epoch FROM c.at) * 1000000)::bigint + e.k - 1 AS time_us
    FROM unnest(outcomes, tenants, streams, expected, events, firsts, times, contexts)
        WITH ORDINALITY AS c(outcome, tenant, stream, expected, events, first, at, contexts, n)
      CROSS JOIN LATERAL ROWS FROM (
        jsonb_to_recordset(c.events) AS (id uuid, context text, type text, version integer, data jsonb, metadata jsonb, hash text)
      ) WITH ORDINALITY AS e(id, context, type, version, data, metadata, hash, k)
    WHERE c.outcome = 'appended'
  ), fresh AS MATERIALIZED (
    SELECT g.*,
      sha256('\x00'::bytea || int8send(g.position) || int8send(g.stream_version) || int8send(g.time_us) || g.body_hash) AS leaf,
      coalesce(lag(g.position) OVER (PARTITION BY g.tenant, g.context ORDER BY g.position), (g.contexts ->> g.context)::bigint) AS previous
    FROM given g
  ), into_events AS (
    INSERT INTO log.events (
      tenant_id, position, stream, stream_version, id, context, type, version, data, metadata, body_hash, leaf, recorded_at, previous_in_context
    )
    SELECT f.tenant, f.position, f.stream, f.stream_version, f.id, f.context, f.type, f.version, f.data, f.metadata, f.body_hash, f.leaf,
      f.recorded_at, f.previous
    FROM fresh f
  ), into_commands AS (
    INSERT INTO log.commands (tenant_id, command_id, stream, request_hmac, first_position, last_position)
    SELECT c.tenant, c.id, c.stream, c.hmac, c.first, c.last
    FROM unnest(outcomes, tenants, ids, streams, hmacs, known_firsts, known_lasts) AS c(outcome, tenant, id, stream, hmac, first, last)
    WHERE c.outcome = 'appended'
  )
  SELECT indexes[f.n], 'appended', firsts[f.n], known_lasts[f.n], array_agg(f.time_us ORDER BY f.position),
    array_agg(encode(f.leaf, 'hex') ORDER BY f.position), array_agg(f.previous ORDER BY f.position)
  FROM fresh f GROUP BY f.n;

  IF one_log THEN
    plans := set_config('plan_cache_mode', 'force_custom_plan', true);
    UPDATE log.heads h SET position = next_position - 1, recorded_at = last_time, contexts = h.contexts || (
        SELECT jsonb_object_agg(e.event ->> 'context', c.first + e.k - 1 ORDER BY c.first + e.k)
        FROM unnest(outcomes, firsts, events) AS c(outcome, first, events), jsonb_array_elements(c.events) WITH ORDINALITY AS e(event, k)
        WHERE c.outcome = 'appended'
      )
      WHERE h.tenant_id = at_tenant;
  ELSE
    UPDATE log.heads h SET position = a.position, recorded_at = a.recorded_at, contexts = h.contexts || a.contexts
      FROM (
        SELECT c.tenant, max(c.first + e.k - 1) AS position, max(c.at + (e.k - 1) * interval '1 microsecond') AS recorded_at,
          jsonb_object_agg(e.event ->> 'context', c.first + e.k - 1 ORDER BY c.first + e.k) AS contexts
        FROM unnest(outcomes, tenants, firsts, times, events) AS c(outcome, tenant, first, at, events),
          jsonb_array_elements(c.events) WITH ORDINALITY AS e(event, k)
        WHERE c.outcome = 'appended'
        GROUP BY c.tenant
      ) a
      WHERE h.tenant_id = a.tenant;
  END IF;
END $$;
