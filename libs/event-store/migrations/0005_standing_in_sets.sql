-- standing() as one statement for all that are asked, and with the id of the stream's last event.
DROP FUNCTION log.standing(jsonb);

-- What an append must know of the copy, one row per ask, index from 0: the log's head (time in µs; null: no such log), the stream's last event
-- (null: no such stream) and the command of that id (first null: none).
CREATE FUNCTION log.standing(tenants uuid[], streams text[], commands text[])
RETURNS TABLE (
  index integer, head bigint, head_us bigint, contexts jsonb, stream_version bigint, stream_event uuid, command_stream text, hmac text,
  first bigint, last bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- One plan, kept, that finds each row's partition while it runs. It may be from when the tables were still empty: an index is always right here.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT a.n::integer - 1, h.position, (extract(epoch FROM h.recorded_at) * 1000000)::bigint, h.contexts, s.stream_version, s.id, k.stream,
    encode(k.request_hmac, 'hex'), k.first_position, k.last_position
  FROM unnest(tenants, streams, commands) WITH ORDINALITY AS a(tenant, stream, command, n)
  LEFT JOIN log.heads h ON h.tenant_id = a.tenant AND h.position >= 0
  LEFT JOIN log.commands k ON k.tenant_id = a.tenant AND k.command_id = a.command
  LEFT JOIN LATERAL (
    SELECT e.stream_version, e.id FROM log.events e
    WHERE e.tenant_id = a.tenant AND e.stream = a.stream ORDER BY e.stream_version DESC LIMIT 1
  ) s ON true
  ORDER BY a.n;
END $$;

ALTER FUNCTION log.standing(uuid[], text[], text[]) OWNER TO tenantry_owner;
REVOKE ALL ON FUNCTION log.standing(uuid[], text[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log.standing(uuid[], text[], text[]) TO tenantry_services;
