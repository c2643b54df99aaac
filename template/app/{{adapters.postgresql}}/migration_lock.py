"""What a migration's transaction begins with, so that one migration runs at a time, and what it ends with."""

# The lock ends with the transaction, and needs no session: it holds behind a pooler too. There the role may have a time
# limit for statements, which the wait and the migration must not meet.
LOCK = ("SET LOCAL statement_timeout = 0", "SELECT pg_advisory_xact_lock(hashtext('app.migrate'))")

_PROTECT = """
    DO $$
    DECLARE
        writer name;
    BEGIN
        FOR writer IN
            SELECT DISTINCT grantee FROM information_schema.role_table_grants
            WHERE table_schema = current_schema() AND table_name = '{table}'
            AND grantor = current_user AND grantee <> current_user AND privilege_type <> 'SELECT'
        LOOP
            EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON {table} FROM %I', writer);
        END LOOP;
    END
    $$
"""


def protect(table: str) -> str:
    """The statement by which others than its owner can read a table, and not write it.

    It is for the one that says which migrations ran: deploy/roles.sql lets the service write all that migrations make.
    """
    return _PROTECT.format(table=table)
