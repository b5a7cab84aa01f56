"""Triggers that hold append-only tables: an UPDATE or DELETE there is an error on both engines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

PG_FUNCTION = """
CREATE OR REPLACE FUNCTION blemish_append_only() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME; END;
$$ LANGUAGE plpgsql
"""


def trigger_statements(engine: str, tables: Sequence[str]) -> Iterator[str]:
    """SQL that makes the tables append-only. engine: name of the dialect, sqlite or postgresql"""
    if engine == "postgresql":
        yield PG_FUNCTION
    for table in tables:
        if engine == "postgresql":
            yield (
                f'CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON "{table}" '
                "FOR EACH ROW EXECUTE FUNCTION blemish_append_only()"
            )
            yield (
                f'CREATE TRIGGER append_only_table BEFORE TRUNCATE ON "{table}" '
                "FOR EACH STATEMENT EXECUTE FUNCTION blemish_append_only()"
            )
        else:
            for action in ("UPDATE", "DELETE"):
                yield (
                    f'CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON "{table}" '
                    f"BEGIN SELECT RAISE(ABORT, 'table {table} is append-only'); END"
                )
