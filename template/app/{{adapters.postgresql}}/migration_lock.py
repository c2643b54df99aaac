"""What a migration's transaction begins with, so that one migration runs at a time."""

# The lock ends with the transaction, and needs no session: it holds behind a pooler too. There the role may have a time
# limit for statements, which the wait and the migration must not meet.
LOCK = ("SET LOCAL statement_timeout = 0", "SELECT pg_advisory_xact_lock(hashtext('app.migrate'))")
