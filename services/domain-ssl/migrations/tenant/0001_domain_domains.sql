CREATE TABLE domain_domains (
  tenant_id uuid NOT NULL,
  domain_id uuid NOT NULL,
  host text NOT NULL,
  unicode_host text NOT NULL,
  type text NOT NULL,
  status text NOT NULL,
  is_primary boolean NOT NULL,
  ssl boolean NOT NULL,
  records jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, domain_id)
);
