-- The tenants' logs: schema log. Services read it and call log.append(); nothing else writes it.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tenantry_owner') THEN CREATE ROLE tenantry_owner NOLOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tenantry_services') THEN CREATE ROLE tenantry_services NOLOGIN; END IF;
END $$;

CREATE SCHEMA log;

-- Position counts 0, 1, 2, … without gaps in the tenant's log; stream_version does in each stream.
CREATE TABLE log.events (
  tenant_id uuid NOT NULL,
  position bigint NOT NULL,
  stream text NOT NULL,
  stream_version bigint NOT NULL,
  id uuid NOT NULL,
  context text NOT NULL,
  type text NOT NULL,
  version integer NOT NULL,
  data jsonb NOT NULL,
  metadata jsonb NOT NULL,
  body_hash bytea NOT NULL,
  leaf bytea NOT NULL,
  recorded_at timestamptz NOT NULL,
  previous_in_context bigint,
  PRIMARY KEY (tenant_id, position),
  UNIQUE (tenant_id, stream, stream_version)
) PARTITION BY HASH (tenant_id);

-- One row per log, locked by whoever appends. contexts: the last position of each context.
CREATE TABLE log.heads (
  tenant_id uuid PRIMARY KEY,
  position bigint NOT NULL DEFAULT -1,
  recorded_at timestamptz NOT NULL DEFAULT '-infinity',
  contexts jsonb NOT NULL DEFAULT '{}'
) PARTITION BY HASH (tenant_id);

-- Ids of appended commands last as long as the log.
CREATE TABLE log.commands (
  tenant_id uuid NOT NULL,
  command_id text NOT NULL,
  stream text NOT NULL,
  request_hmac bytea,
  first_position bigint NOT NULL,
  last_position bigint NOT NULL,
  PRIMARY KEY (tenant_id, command_id)
) PARTITION BY HASH (tenant_id);

DO $$
DECLARE
  parent text;
  part text;
BEGIN
  FOREACH parent IN ARRAY ARRAY['events', 'heads', 'commands'] LOOP
    FOR n IN 0..15 LOOP
      part := format('%s_%s', parent, to_char(n, 'FM00'));
      EXECUTE format('CREATE TABLE log.%I PARTITION OF log.%I FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, parent, n);
      -- No policy of its own: nobody gets at a partition but through its parent.
      EXECUTE format('ALTER TABLE log.%I ENABLE ROW LEVEL SECURITY', part);
      EXECUTE format('ALTER TABLE log.%I FORCE ROW LEVEL SECURITY', part);
      EXECUTE format('ALTER TABLE log.%I OWNER TO tenantry_owner', part);
      IF parent = 'heads' THEN
        -- Heads change with every append; room in the page keeps their updates out of the index.
        EXECUTE format('ALTER TABLE log.%I SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.5, autovacuum_vacuum_threshold = 1000)', part);
      END IF;
    END LOOP;
    EXECUTE format('ALTER TABLE log.%I ENABLE ROW LEVEL SECURITY', parent);
    EXECUTE format('ALTER TABLE log.%I FORCE ROW LEVEL SECURITY', parent);
    EXECUTE format('CREATE POLICY owner ON log.%I TO tenantry_owner USING (true) WITH CHECK (true)', parent);
    EXECUTE format('CREATE POLICY reader ON log.%I FOR SELECT TO tenantry_services USING (true)', parent);
    EXECUTE format('ALTER TABLE log.%I OWNER TO tenantry_owner', parent);
    EXECUTE format('GRANT SELECT ON log.%I TO tenantry_services', parent);
  END LOOP;
END $$;

-- Which contexts a login may append to. The owner and superusers may append to all.
CREATE TABLE log.writers (
  role name NOT NULL,
  context text NOT NULL,
  PRIMARY KEY (role, context)
);

INSERT INTO log.writers (role, context) VALUES
  ('tenantry_provisioning', 'tenant'),
  ('tenantry_provisioning', 'config'),
  ('tenantry_provisioning', 'placement'),
  ('tenantry_quota_metering', 'quota'),
  ('tenantry_domain_ssl', 'domain'),
  ('tenantry_billing', 'billing'),
  ('tenantry_billing', 'platform'),
  ('tenantry_identity', 'identity'),
  ('tenantry_identity', 'platform'),
  ('tenantry_audit', 'audit'),
  ('tenantry_insight', 'insight');

-- Appends a group of commands, each whole or not at all; one that is refused does not disturb the others.
-- commands: [{tenant, id, hmac (hex or null), stream, expected, events: [{id, context, type, version, data, metadata, hash (hex)}]}]
-- One row per command, index from 0 in the order given:
--   outcome  appended | repeated (same id, same request) | mismatch (same id, another request)
--            | conflict (the stream is at another version) | forbidden (the login may not write the context)
--   first_position, last_position  of appended and repeated
--   recorded_us, leaves (hex), previous  of appended, one element per event
-- Commands on the same log are decided in the order given, each on what the one before it left.
CREATE FUNCTION log.append(commands jsonb)
RETURNS TABLE (
  index integer, outcome text, first_position bigint, last_position bigint, recorded_us bigint[], leaves text[], previous bigint[]
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Plans may be kept from when the tables were still empty: an index is always right here.
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
  may_write text[];
  fresh uuid;
  command record;
  event record;
  known record;
  at_tenant uuid;
  head_position bigint;
  head_time timestamptz;
  head_contexts jsonb;
  head_moved boolean := false;
  stream_version_now bigint;
  next_position bigint;
  next_version bigint;
  time_us bigint;
  leaf bytea;
  event_times timestamptz[];
  event_leaves bytea[];
  saved_contexts jsonb;
  saved_time timestamptz;
BEGIN
  -- session_user is the login that called, whoever owns this function.
  SELECT array_agg(w.context) INTO may_write FROM log.writers w WHERE w.role = session_user;
  IF may_write IS NULL AND session_user <> 'tenantry_owner'
     AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = session_user AND r.rolsuper) THEN
    may_write := '{}';
  END IF;

  -- A log begins with a stream's first event. Its head is made before any head is locked, and in the tenants' order:
  -- two groups that made the same heads in another order, or locked some first, would wait for each other.
  FOR fresh IN
    SELECT DISTINCT c.tenant FROM jsonb_to_recordset(commands) AS c(tenant uuid, expected bigint) WHERE c.expected = -1 ORDER BY c.tenant
  LOOP
    IF NOT EXISTS (SELECT FROM log.heads h WHERE h.tenant_id = fresh) THEN
      INSERT INTO log.heads (tenant_id) VALUES (fresh) ON CONFLICT DO NOTHING;
    END IF;
  END LOOP;

  FOR command IN
    SELECT c.ordinality::integer - 1 AS index, c.tenant, c.id, decode(c.hmac, 'hex') AS hmac, c.stream, c.expected, c.events
    FROM ROWS FROM (jsonb_to_recordset(commands) AS (tenant uuid, id text, hmac text, stream text, expected bigint, events jsonb))
      WITH ORDINALITY AS c(tenant, id, hmac, stream, expected, events, ordinality)
    ORDER BY c.tenant, c.ordinality
  LOOP
    IF at_tenant IS DISTINCT FROM command.tenant THEN
      IF head_moved THEN
        UPDATE log.heads h SET position = head_position, recorded_at = head_time, contexts = head_contexts WHERE h.tenant_id = at_tenant;
        head_moved := false;
      END IF;
      at_tenant := command.tenant;
      SELECT h.position, h.recorded_at, h.contexts INTO head_position, head_time, head_contexts
        FROM log.heads h WHERE h.tenant_id = at_tenant FOR UPDATE;
    END IF;

    index := command.index;
    first_position := NULL;
    last_position := NULL;
    recorded_us := NULL;
    leaves := NULL;
    previous := NULL;

    -- From here on, what is read was committed before the head was locked, or is this call's own.
    SELECT k.request_hmac, k.first_position, k.last_position INTO known
      FROM log.commands k WHERE k.tenant_id = at_tenant AND k.command_id = command.id;
    IF FOUND THEN
      IF known.request_hmac IS DISTINCT FROM command.hmac THEN
        outcome := 'mismatch';
      ELSE
        outcome := 'repeated';
        first_position := known.first_position;
        last_position := known.last_position;
      END IF;
      RETURN NEXT;
      CONTINUE;
    END IF;

    SELECT e.stream_version INTO stream_version_now
      FROM log.events e WHERE e.tenant_id = at_tenant AND e.stream = command.stream ORDER BY e.stream_version DESC LIMIT 1;
    IF coalesce(stream_version_now, -1) <> command.expected OR head_position IS NULL THEN
      outcome := 'conflict';
      RETURN NEXT;
      CONTINUE;
    END IF;

    outcome := 'appended';
    next_position := head_position;
    next_version := command.expected;
    saved_contexts := head_contexts;
    saved_time := head_time;
    event_times := '{}';
    event_leaves := '{}';
    FOR event IN SELECT e.context, e.hash FROM jsonb_to_recordset(command.events) AS e(context text, hash text) LOOP
      IF may_write IS NOT NULL AND NOT event.context = ANY (may_write) THEN
        outcome := 'forbidden';
        EXIT;
      END IF;
      next_position := next_position + 1;
      next_version := next_version + 1;
      -- Strictly growing, so that "as of an instant" names one state.
      head_time := greatest(clock_timestamp(), head_time + interval '1 microsecond');
      time_us := (extract(epoch FROM head_time) * 1000000)::bigint;
      leaf := sha256('\x00'::bytea || int8send(next_position) || int8send(next_version) || int8send(time_us) || decode(event.hash, 'hex'));
      event_times := event_times || head_time;
      event_leaves := event_leaves || leaf;
      recorded_us := recorded_us || time_us;
      leaves := leaves || encode(leaf, 'hex');
      previous := previous || (head_contexts ->> event.context)::bigint;
      head_contexts := head_contexts || jsonb_build_object(event.context, next_position);
    END LOOP;
    IF outcome = 'forbidden' THEN
      head_contexts := saved_contexts;
      head_time := saved_time;
      recorded_us := NULL;
      leaves := NULL;
      previous := NULL;
      RETURN NEXT;
      CONTINUE;
    END IF;

    INSERT INTO log.events (
      tenant_id, position, stream, stream_version, id, context, type, version, data, metadata, body_hash, leaf, recorded_at, previous_in_context
    )
    SELECT at_tenant, head_position + e.n, command.stream, command.expected + e.n, e.id, e.context, e.type, e.version, e.data, e.metadata,
      decode(e.hash, 'hex'), e.leaf, e.recorded_at, e.previous
    FROM ROWS FROM (
      jsonb_to_recordset(command.events) AS (id uuid, context text, type text, version integer, data jsonb, metadata jsonb, hash text),
      unnest(event_leaves), unnest(event_times), unnest(previous)
    ) WITH ORDINALITY AS e(id, context, type, version, data, metadata, hash, leaf, recorded_at, previous, n);
    INSERT INTO log.commands (tenant_id, command_id, stream, request_hmac, first_position, last_position)
      VALUES (at_tenant, command.id, command.stream, command.hmac, head_position + 1, next_position);

    first_position := head_position + 1;
    last_position := next_position;
    head_position := next_position;
    head_moved := true;
    RETURN NEXT;
  END LOOP;
  IF head_moved THEN
    UPDATE log.heads h SET position = head_position, recorded_at = head_time, contexts = head_contexts WHERE h.tenant_id = at_tenant;
  END IF;
END $$;

-- A stream from a version on, and before it what is known of a command id (null: not asked), in one snapshot.
-- The command's row has is_event = false and holds in position and previous_in_context its first and last position, in body_hash its HMAC.
-- Reading is in functions so that their settings hold whoever reads. They run with the caller's rights.
-- A plan for one log looks at one partition. A kept plan looks at all, and is thrown away in every session whenever a schema is made, that is
-- with every dedicated tenant: making it again costs twice what planning for one partition does.
CREATE FUNCTION log.read_stream(of_tenant uuid, of_stream text, from_version bigint, of_command text)
RETURNS TABLE (
  is_event boolean, tenant_id uuid, "position" bigint, stream text, stream_version bigint, id uuid, context text, type text, version integer,
  data jsonb, metadata jsonb, body_hash text, leaf text, recorded_us bigint, previous_in_context bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
  -- STABLE: both statements see the snapshot of the statement that called.
  IF of_command IS NOT NULL THEN
    RETURN QUERY SELECT false, k.tenant_id, k.first_position, k.stream, -1::bigint, NULL::uuid, NULL, NULL, 0, NULL::jsonb, NULL::jsonb,
        encode(k.request_hmac, 'hex'), NULL, 0::bigint, k.last_position
      FROM log.commands k WHERE k.tenant_id = of_tenant AND k.command_id = of_command;
  END IF;
  RETURN QUERY SELECT true, e.tenant_id, e.position, e.stream, e.stream_version, e.id, e.context, e.type, e.version, e.data, e.metadata,
      encode(e.body_hash, 'hex'), encode(e.leaf, 'hex'), (extract(epoch FROM e.recorded_at) * 1000000)::bigint, e.previous_in_context
    FROM log.events e WHERE e.tenant_id = of_tenant AND e.stream = of_stream AND e.stream_version >= from_version ORDER BY e.stream_version;
END $$;

-- Events of several logs, each from its own position on, in one snapshot: of each at most max_events of the types (null: of all) among the
-- next scan positions, in order. head is the last position (null: no such log). A log with nothing to show has one row without an event.
CREATE FUNCTION log.read_logs(of_tenants uuid[], since bigint[], of_types text[], max_events bigint, scan bigint)
RETURNS TABLE (
  request integer, head bigint, tenant_id uuid, "position" bigint, stream text, stream_version bigint, id uuid, context text, type text,
  version integer, data jsonb, metadata jsonb, body_hash text, leaf text, recorded_us bigint, previous_in_context bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
  of_tenant uuid;
  shown boolean;
BEGIN
  -- One by one: a scalar finds its partition before the plan starts, and no statistics can talk the planner into a join.
  FOR n IN 1..cardinality(of_tenants) LOOP
    of_tenant := of_tenants[n];
    request := n;
    shown := false;
    SELECT h.position INTO head FROM log.heads h WHERE h.tenant_id = of_tenant;
    IF head >= since[n] THEN
      RETURN QUERY SELECT n, head, e.tenant_id, e.position, e.stream, e.stream_version, e.id, e.context, e.type, e.version, e.data, e.metadata,
          encode(e.body_hash, 'hex'), encode(e.leaf, 'hex'), (extract(epoch FROM e.recorded_at) * 1000000)::bigint, e.previous_in_context
        FROM log.events e
        WHERE e.tenant_id = of_tenant AND e.position >= since[n] AND e.position < since[n] + scan
          AND (of_types IS NULL OR e.type = ANY (of_types))
        ORDER BY e.position LIMIT max_events;
      shown := FOUND;
    END IF;
    IF NOT shown THEN
      RETURN NEXT;
    END IF;
  END LOOP;
END $$;

ALTER SCHEMA log OWNER TO tenantry_owner;
ALTER TABLE log.writers OWNER TO tenantry_owner;
ALTER FUNCTION log.append(jsonb) OWNER TO tenantry_owner;
ALTER FUNCTION log.read_stream(uuid, text, bigint, text) OWNER TO tenantry_owner;
ALTER FUNCTION log.read_logs(uuid[], bigint[], text[], bigint, bigint) OWNER TO tenantry_owner;
GRANT USAGE ON SCHEMA log TO tenantry_services;
REVOKE ALL ON FUNCTION log.append(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log.append(jsonb) TO tenantry_services;
REVOKE ALL ON FUNCTION log.read_stream(uuid, text, bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log.read_stream(uuid, text, bigint, text) TO tenantry_services;
REVOKE ALL ON FUNCTION log.read_logs(uuid[], bigint[], text[], bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log.read_logs(uuid[], bigint[], text[], bigint, bigint) TO tenantry_services;
