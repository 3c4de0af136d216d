-- A part that turns out to be too short, as after a write that failed or a loss of power, is put aside when its table is
-- loaded, and the parts that it was merged from are taken instead. They are there for a minute: the embedded engine would
-- remove them at once, and the kernel writes to the disk what is half a minute old. However large such a part is, a table
-- is not kept from being loaded by it.
ALTER TABLE millrace.hits MODIFY SETTING old_parts_lifetime = 60, max_suspicious_broken_parts_bytes = 1099511627776;
ALTER TABLE millrace.sessions MODIFY SETTING old_parts_lifetime = 60, max_suspicious_broken_parts_bytes = 1099511627776;
ALTER TABLE millrace.daily_hits MODIFY SETTING old_parts_lifetime = 60, max_suspicious_broken_parts_bytes = 1099511627776;
ALTER TABLE millrace.daily_pages MODIFY SETTING old_parts_lifetime = 60, max_suspicious_broken_parts_bytes = 1099511627776;
ALTER TABLE millrace.daily_sessions MODIFY SETTING old_parts_lifetime = 60, max_suspicious_broken_parts_bytes = 1099511627776;
ALTER TABLE millrace.rebuilds MODIFY SETTING old_parts_lifetime = 60;
ALTER TABLE millrace.rebuild_hits MODIFY SETTING old_parts_lifetime = 60, max_suspicious_broken_parts_bytes = 1099511627776;
ALTER TABLE millrace.rebuild_sessions MODIFY SETTING old_parts_lifetime = 60, max_suspicious_broken_parts_bytes = 1099511627776;
ALTER TABLE millrace.deletions MODIFY SETTING old_parts_lifetime = 60;
ALTER TABLE millrace.hidden_hits MODIFY SETTING old_parts_lifetime = 60;
ALTER TABLE millrace.schema_migrations MODIFY SETTING old_parts_lifetime = 60;
