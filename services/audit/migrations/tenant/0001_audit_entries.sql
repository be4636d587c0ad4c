-- One row per event of the tenant's log, at the event's position. ip and user_agent hold what stands in `{enc}`.
-- No index beside the primary key: entries are read by position, newest first, and time grows with position.
CREATE TABLE audit_entries (
  tenant_id uuid NOT NULL,
  position bigint NOT NULL,
  id uuid NOT NULL,
  action text NOT NULL,
  resource_type text NOT NULL,
  resource_id text NOT NULL,
  actor_kind text NOT NULL,
  actor_id text NOT NULL,
  old_values jsonb,
  new_values jsonb NOT NULL,
  ip text,
  user_agent text,
  trace_id text,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, position)
);
