-- The list of operations: a projection of what begins, steers and ends them. `tenant_id` says whose log an operation is in,
-- `about_id` which tenant it is about: null for work over many.
CREATE TABLE operation_list (
  tenant_id uuid NOT NULL,
  operation_id uuid NOT NULL,
  about_id uuid,
  type text NOT NULL,
  begun boolean NOT NULL DEFAULT false,
  paused boolean NOT NULL DEFAULT false,
  cancelled boolean NOT NULL DEFAULT false,
  -- A step failed for good, or somebody asked for it: what was done is undone, unless it can only go forward by then.
  undoing boolean NOT NULL DEFAULT false,
  committed boolean NOT NULL DEFAULT false,
  outcome text,
  error jsonb,
  created_at timestamptz NOT NULL,
  finished_at timestamptz,
  status text NOT NULL GENERATED ALWAYS AS (
    CASE
      WHEN outcome = 'undone' AND cancelled THEN 'cancelled'
      WHEN outcome = 'undone' THEN 'compensated'
      WHEN outcome IS NOT NULL THEN outcome
      WHEN undoing AND NOT committed THEN 'compensating'
      WHEN paused AND NOT cancelled THEN 'paused'
      WHEN begun THEN 'running'
      ELSE 'pending'
    END) STORED,
  PRIMARY KEY (tenant_id, operation_id)
);
CREATE INDEX operation_list_newest ON operation_list (created_at DESC, operation_id DESC);
CREATE INDEX operation_list_of_status ON operation_list (status, created_at DESC, operation_id DESC);
CREATE INDEX operation_list_of_type ON operation_list (type, created_at DESC, operation_id DESC);
CREATE INDEX operation_list_of_tenant ON operation_list (about_id, created_at DESC, operation_id DESC);
