-- Which blueprint a job takes tenants forward with: one campaign of a blueprint at a time.
CREATE TABLE campaigns (
  operation_id uuid PRIMARY KEY,
  blueprint varchar(50) NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX campaigns_blueprint ON campaigns (blueprint);
