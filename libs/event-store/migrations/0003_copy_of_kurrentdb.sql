-- Where KurrentDB decides the logs (src/adapters/kurrentdb), the tables of 0001 are a copy that one follower fills. Without KurrentDB nothing
-- of this is used.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tenantry_relay') THEN CREATE ROLE tenantry_relay NOLOGIN; END IF;
END $$;

-- Who follows, and how far: one row. Positions are those of $all; null: nothing was followed yet.
CREATE TABLE log.copier (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  owner text,
  until timestamptz NOT NULL DEFAULT '-infinity',
  -- All before it was looked at, this included.
  commit_position numeric(20),
  prepare_position numeric(20),
  -- The last event that was copied: a server that doesn't hold it any more was set back.
  copied_commit numeric(20),
  copied_prepare numeric(20),
  copied_tenant uuid,
  copied_revision bigint,
  copied_id uuid
);
INSERT INTO log.copier DEFAULT VALUES;
ALTER TABLE log.copier OWNER TO tenantry_owner;
GRANT SELECT ON log.copier TO tenantry_services;

-- Takes the lease, or prolongs it. No row where somebody else has it.
CREATE FUNCTION log.copy_lease(by_owner text, lease_ms integer) RETURNS SETOF log.copier
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  UPDATE log.copier c SET owner = by_owner, until = clock_timestamp() + lease_ms * interval '1 ms'
  WHERE c.owner IS NULL OR c.owner = by_owner OR c.until <= clock_timestamp() RETURNING c.*
$$;

CREATE FUNCTION log.copy_release(by_owner text) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  UPDATE log.copier c SET owner = NULL, until = '-infinity' WHERE c.owner = by_owner
$$;

-- Adds events to the copy, each log going on from its head, and notes how far $all was looked at.
-- events: [{tenant, position, stream, stream_version, id, context, type, version, data, metadata, hash, leaf (hex), us, previous,
--           command, hmac (hex or null), first, last}] in their order; whole commands only.
-- SQLSTATE TL001: the lease is somebody else's. TL002: a log would have a hole or an event twice.
CREATE FUNCTION log.copy(by_owner text, events jsonb, at_commit numeric, at_prepare numeric) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
  wrong text;
BEGIN
  -- Locked to the end: a follower that was frozen and has lost its lease meanwhile changes nothing.
  PERFORM FROM log.copier c WHERE c.owner = by_owner AND c.until > clock_timestamp() FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the lease on the copy is not held' USING ERRCODE = 'TL001';
  END IF;

  SELECT g.tenant || ' at ' || g.first INTO wrong
  FROM (
    SELECT e.tenant, min(e.position) AS first, max(e.position) AS last, count(*) AS n
    FROM jsonb_to_recordset(events) AS e(tenant uuid, position bigint) GROUP BY e.tenant
  ) g
  LEFT JOIN log.heads h ON h.tenant_id = g.tenant
  WHERE g.first <> coalesce(h.position, -1) + 1 OR g.n <> g.last - g.first + 1
  LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'the log % does not go on from its head', wrong USING ERRCODE = 'TL002';
  END IF;

  WITH given AS MATERIALIZED (
    SELECT e.*, '1970-01-01T00:00:00Z'::timestamptz + e.us * interval '1 microsecond' AS recorded_at
    FROM ROWS FROM (jsonb_to_recordset(events) AS (
      tenant uuid, position bigint, stream text, stream_version bigint, id uuid, context text, type text, version integer, data jsonb,
      metadata jsonb, hash text, leaf text, us bigint, previous bigint, command text, hmac text, first bigint, last bigint
    )) WITH ORDINALITY AS e(
      tenant, position, stream, stream_version, id, context, type, version, data, metadata, hash, leaf, us, previous, command, hmac, first,
      last, n
    )
  ), copied AS (
    INSERT INTO log.events (
      tenant_id, position, stream, stream_version, id, context, type, version, data, metadata, body_hash, leaf, recorded_at, previous_in_context
    )
    -- A recordset makes a missing value of JSON's null.
    SELECT g.tenant, g.position, g.stream, g.stream_version, g.id, g.context, g.type, g.version, coalesce(g.data, 'null'), g.metadata, decode(g.hash, 'hex'),
      decode(g.leaf, 'hex'), g.recorded_at, g.previous
    FROM given g
  ), commands AS (
    INSERT INTO log.commands (tenant_id, command_id, stream, request_hmac, first_position, last_position)
    SELECT g.tenant, g.command, g.stream, decode(g.hmac, 'hex'), g.first, g.last FROM given g WHERE g.position = g.first
  ), heads AS (
    INSERT INTO log.heads AS h (tenant_id, position, recorded_at, contexts)
    SELECT c.tenant, max(c.position), max(c.recorded_at), jsonb_object_agg(c.context, c.position)
    FROM (
      SELECT g.tenant, g.context, max(g.position) AS position, max(g.recorded_at) AS recorded_at FROM given g GROUP BY g.tenant, g.context
    ) c
    GROUP BY c.tenant ORDER BY c.tenant
    ON CONFLICT (tenant_id) DO UPDATE
    SET position = excluded.position, recorded_at = excluded.recorded_at, contexts = h.contexts || excluded.contexts
  )
  UPDATE log.copier c SET
    commit_position = at_commit, prepare_position = at_prepare,
    copied_commit = CASE WHEN l.id IS NULL THEN c.copied_commit ELSE at_commit END,
    copied_prepare = CASE WHEN l.id IS NULL THEN c.copied_prepare ELSE at_prepare END,
    copied_tenant = coalesce(l.tenant, c.copied_tenant),
    copied_revision = coalesce(l.position, c.copied_revision),
    copied_id = coalesce(l.id, c.copied_id)
  FROM (SELECT 1) always LEFT JOIN (SELECT g.tenant, g.position, g.id FROM given g ORDER BY g.n DESC LIMIT 1) l ON true;
END $$;

-- What an append must know of the copy, one row per ask, index from 0: the log's head (time in µs, null: no such log; leaf of its last event),
-- the version of the stream (-1: none) and the command of that id (first null: none).
-- asks: [{tenant, stream, command}]
CREATE FUNCTION log.standing(asks jsonb)
RETURNS TABLE (
  index integer, head bigint, head_us bigint, head_leaf text, contexts jsonb, stream_version bigint, command_stream text, hmac text,
  first bigint, last bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
  ask record;
BEGIN
  FOR ask IN
    SELECT a.ordinality::integer - 1 AS index, a.tenant, a.stream, a.command
    FROM ROWS FROM (jsonb_to_recordset(asks) AS (tenant uuid, stream text, command text)) WITH ORDINALITY AS a(tenant, stream, command, ordinality)
  LOOP
    index := ask.index;
    SELECT h.position, (extract(epoch FROM h.recorded_at) * 1000000)::bigint, h.contexts INTO head, head_us, contexts
      FROM log.heads h WHERE h.tenant_id = ask.tenant AND h.position >= 0;
    SELECT encode(e.leaf, 'hex') INTO head_leaf FROM log.events e WHERE e.tenant_id = ask.tenant AND e.position = head;
    SELECT e.stream_version INTO stream_version
      FROM log.events e WHERE e.tenant_id = ask.tenant AND e.stream = ask.stream ORDER BY e.stream_version DESC LIMIT 1;
    stream_version := coalesce(stream_version, -1);
    SELECT k.stream, encode(k.request_hmac, 'hex'), k.first_position, k.last_position INTO command_stream, hmac, first, last
      FROM log.commands k WHERE k.tenant_id = ask.tenant AND k.command_id = ask.command;
    RETURN NEXT;
  END LOOP;
END $$;

DO $$
DECLARE
  f text;
BEGIN
  FOREACH f IN ARRAY ARRAY['log.copy(text, jsonb, numeric, numeric)', 'log.copy_lease(text, integer)', 'log.copy_release(text)'] LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO tenantry_owner', f);
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tenantry_relay', f);
  END LOOP;
END $$;
ALTER FUNCTION log.standing(jsonb) OWNER TO tenantry_owner;
REVOKE ALL ON FUNCTION log.standing(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log.standing(jsonb) TO tenantry_services;
