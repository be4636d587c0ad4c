-- In whose log an approval is: written before its first event, never changed.
CREATE TABLE approval_index (
  approval_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL
);

-- The list of approvals: a projection of the streams approval-<id>. Values in `change` stay encrypted.
CREATE TABLE approvals (
  tenant_id uuid NOT NULL,
  approval_id uuid NOT NULL,
  status text NOT NULL,
  command text NOT NULL,
  change jsonb,
  requested_by jsonb NOT NULL,
  approvers integer NOT NULL,
  approved_by jsonb NOT NULL,
  rejected_by jsonb,
  reason jsonb,
  error jsonb,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, approval_id)
);
CREATE INDEX approvals_newest ON approvals (created_at DESC, approval_id DESC);
CREATE INDEX approvals_of_status ON approvals (status, created_at DESC, approval_id DESC);
