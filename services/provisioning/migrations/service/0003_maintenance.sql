-- Maintenance windows, for the list: a projection of the platform's log.
CREATE TABLE maintenance_windows (
  window_id uuid PRIMARY KEY,
  status text NOT NULL,
  scope text NOT NULL,
  tenants integer,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  notice_at timestamptz,
  reason text NOT NULL,
  emergency boolean NOT NULL,
  created_at timestamptz NOT NULL,
  started_at timestamptz,
  ended_at timestamptz
);
CREATE INDEX maintenance_windows_latest ON maintenance_windows (starts_at DESC, window_id DESC);
