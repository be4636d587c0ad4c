-- Which log an operation is in: written before the first event, never changed.
CREATE TABLE operations (
  operation_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  type text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- The list of tenants: a projection of the context `tenant`.
CREATE TABLE tenants (
  tenant_id uuid PRIMARY KEY,
  name text NOT NULL,
  slug text NOT NULL,
  status text NOT NULL,
  status_reason text,
  plan text NOT NULL,
  plan_version integer NOT NULL,
  priority integer NOT NULL,
  isolation text NOT NULL,
  region text NOT NULL,
  domain text NOT NULL,
  timezone text NOT NULL,
  locale text NOT NULL,
  language text NOT NULL,
  currency text NOT NULL,
  theme text NOT NULL,
  tags jsonb NOT NULL,
  activation text NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  version bigint NOT NULL,
  position bigint NOT NULL
);
CREATE INDEX tenants_newest ON tenants (created_at DESC, tenant_id DESC);
CREATE INDEX tenants_status ON tenants (status, created_at DESC, tenant_id DESC);
CREATE INDEX tenants_plan ON tenants (plan, created_at DESC, tenant_id DESC);
