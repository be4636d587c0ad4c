-- What is read in an order comes from the index that has it, and ends where the page is full. Without statistics, or with old ones, the
-- planner takes 50,000 positions or a whole log for a handful of rows: it would fetch them all and sort them, each time.
ALTER FUNCTION log.read_logs(uuid[], bigint[], text[], bigint, bigint) SET enable_sort = off;
ALTER FUNCTION log.read_logs(uuid[], bigint[], text[], bigint, bigint) SET enable_bitmapscan = off;
ALTER FUNCTION log.read_stream(uuid, text, bigint, text) SET enable_sort = off;
ALTER FUNCTION log.read_stream(uuid, text, bigint, text) SET enable_bitmapscan = off;
