-- A page of a log comes from the index that has its order, and ends where the page is full. Before a table has statistics the planner
-- takes 50,000 positions for a handful: it would fetch them all and sort them, for every page.
ALTER FUNCTION log.read_logs(uuid[], bigint[], text[], bigint, bigint) SET enable_sort = off;
ALTER FUNCTION log.read_logs(uuid[], bigint[], text[], bigint, bigint) SET enable_bitmapscan = off;
