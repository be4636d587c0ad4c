-- The highest last sequence that anybody has seen in this epoch: a stream that ends before it has lost its end, whoever published that.
ALTER TABLE streams ADD COLUMN seen bigint NOT NULL DEFAULT 0;
