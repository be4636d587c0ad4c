-- A change of a file may last for hours, and what it needs be known only as it comes.
ALTER TABLE file_writes
  -- No longer known when it begins.
  ALTER COLUMN bytes DROP NOT NULL,
  -- Whoever is at it says so again and again; one that is silent has died.
  ADD COLUMN renewed_at timestamptz NOT NULL DEFAULT now(),
  -- Room that is held for certain, and what was asked for last: nobody knows yet whether that is held. `steps` counts what was asked for.
  ADD COLUMN held bigint NOT NULL DEFAULT 0,
  ADD COLUMN pending bigint,
  ADD COLUMN steps integer NOT NULL DEFAULT 0;
DROP INDEX file_writes_age;
CREATE INDEX file_writes_renewed ON file_writes (renewed_at);
