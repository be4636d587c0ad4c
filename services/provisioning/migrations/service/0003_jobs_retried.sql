-- How often the item was tried again after it had failed for good: what it does then is another command.
ALTER TABLE job_items ADD COLUMN retries integer NOT NULL DEFAULT 0;
