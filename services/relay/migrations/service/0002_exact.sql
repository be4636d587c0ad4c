-- What the broker's stream was like when it was last looked at. epoch rises with every loss.
-- marks: [{sequence, atMs}], everything stored after that sequence is younger than that time.
CREATE TABLE streams (
  name    text   PRIMARY KEY,
  epoch   bigint NOT NULL,
  created text   NOT NULL,
  leader  text   NOT NULL,
  deleted bigint NOT NULL,
  marks   jsonb  NOT NULL
);

-- Of each relay, the message with the highest sequence that was acknowledged to it.
CREATE TABLE acknowledged (
  owner     text   PRIMARY KEY,
  epoch     bigint NOT NULL,
  sequence  bigint NOT NULL,
  tenant_id uuid   NOT NULL,
  position  bigint NOT NULL,
  event_id  uuid   NOT NULL
) WITH (fillfactor = 50);

-- Positions that are published under the message id <tenant>:<position>:r<n>: again, or because the plain id is taken by another event.
CREATE TABLE renewals (
  tenant_id     uuid   NOT NULL,
  from_position bigint NOT NULL,
  to_position   bigint NOT NULL CHECK (to_position >= from_position),
  n             bigint NOT NULL,
  PRIMARY KEY (tenant_id, from_position)
);

-- The id of the event at the position: another one there means that the log's history was rewritten.
ALTER TABLE published ADD COLUMN event_id uuid;

-- The epoch in which the bucket's logs were last compared with the stream.
ALTER TABLE leases ADD COLUMN epoch bigint NOT NULL DEFAULT 0;
