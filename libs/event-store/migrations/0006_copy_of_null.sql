-- copy() as it was, but for an event whose data is JSON's null: a recordset makes a missing value of it.
CREATE OR REPLACE FUNCTION log.copy(by_owner text, events jsonb, at_commit numeric, at_prepare numeric) RETURNS void
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
