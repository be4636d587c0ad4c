-- Active subdomains: host → tenant. Custom hosts come here when their ownership is proven.
CREATE TABLE hosts (
  host text PRIMARY KEY,
  tenant_id uuid NOT NULL,
  domain_id uuid NOT NULL,
  claimed_at timestamptz NOT NULL
);
