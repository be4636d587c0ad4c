-- Signed reports of isolation checks, one per check and tenant. The text is what was signed, byte for byte.
CREATE TABLE isolation_reports (
  check_id uuid NOT NULL,
  tenant_id uuid NOT NULL,
  checked_at timestamptz NOT NULL,
  verdict varchar(8) NOT NULL CHECK (verdict IN ('held', 'breached')),
  report text NOT NULL,
  key_id text NOT NULL,
  signature text NOT NULL,
  PRIMARY KEY (check_id, tenant_id)
);
CREATE INDEX isolation_reports_tenant ON isolation_reports (tenant_id, checked_at DESC);
CREATE INDEX isolation_reports_age ON isolation_reports (checked_at);
