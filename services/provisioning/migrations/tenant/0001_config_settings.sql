-- The tenant's settings as they are now. Values are JSON text, encrypted ({"enc": …}).
CREATE TABLE config_settings (
  tenant_id uuid NOT NULL,
  key varchar(255) NOT NULL,
  value jsonb NOT NULL,
  type varchar(10) NOT NULL,
  category varchar(20) NOT NULL,
  encrypted boolean NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, key)
);
