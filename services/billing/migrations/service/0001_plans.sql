-- The plan catalogue, every version of it. Filled from the platform's log.
CREATE TABLE plans (
  id text NOT NULL,
  version integer NOT NULL,
  terms jsonb NOT NULL,
  PRIMARY KEY (id, version)
);
