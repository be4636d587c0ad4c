-- Changes of files that are under way: room for them is held in the tenant's quota. A row that is left by a process that died is settled by another.
CREATE TABLE file_writes (
  tenant_id uuid NOT NULL,
  key varchar(1024) NOT NULL,
  id uuid NOT NULL UNIQUE,
  bytes bigint NOT NULL,
  -- Of the file before; null until it is known, and nothing is held until then.
  bytes_before bigint,
  begun_at timestamptz NOT NULL DEFAULT now(),
  -- One change of a file at a time.
  PRIMARY KEY (tenant_id, key)
);
CREATE INDEX file_writes_age ON file_writes (begun_at);
