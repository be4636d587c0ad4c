-- Work over many tenants. That it was asked for, paused, ended is on the platform's log; its items and its parameters are only here.
CREATE TABLE jobs (
  operation_id uuid PRIMARY KEY,
  type text NOT NULL,
  params jsonb NOT NULL,
  total integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- The process that works on it, and until when that holds unless it says so again.
  driver text,
  driver_until timestamptz
);
CREATE INDEX jobs_oldest ON jobs (created_at);

CREATE TABLE job_items (
  operation_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
  ordinal integer NOT NULL,
  tenant_id uuid,
  target text,
  wave integer NOT NULL,
  status text NOT NULL DEFAULT 'pending',
  -- Of the job: how often its failed items were tried again when this one failed.
  round integer NOT NULL DEFAULT 0,
  -- Fences: who claimed last says how it ended.
  claims integer NOT NULL DEFAULT 0,
  attempts integer NOT NULL DEFAULT 0,
  -- How often the process died with it.
  interruptions integer NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL DEFAULT now(),
  duration_ms double precision,
  error_code text,
  error text,
  PRIMARY KEY (operation_id, ordinal)
);
CREATE INDEX job_items_open ON job_items (operation_id, wave, ordinal) WHERE status IN ('pending', 'running');
CREATE INDEX job_items_status ON job_items (operation_id, status, ordinal);
CREATE INDEX job_items_tenant ON job_items (tenant_id);
