"""The station: lines that inspect parts, a record of every decision, and a server that people work with."""
