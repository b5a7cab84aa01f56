"""The station's database: tables, migrations, one writing thread, the audit chain. All SQL text is in here."""
