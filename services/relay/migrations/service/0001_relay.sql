-- How far each log is published.
CREATE TABLE published (
  tenant_id uuid   PRIMARY KEY,
  position  bigint NOT NULL
) WITH (fillfactor = 50);

-- The relays that are alive.
CREATE TABLE members (
  owner text        PRIMARY KEY,
  until timestamptz NOT NULL
);

-- Which relay publishes which bucket of logs (last byte of the log's id, modulo 64).
CREATE TABLE leases (
  bucket smallint    PRIMARY KEY CHECK (bucket BETWEEN 0 AND 63),
  owner  text,
  until  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO leases (bucket) SELECT generate_series(0, 63);
