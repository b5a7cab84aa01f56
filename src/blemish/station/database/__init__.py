"""The station's database: tables, migrations, one writing thread, the audit chain; all text of SQL."""
