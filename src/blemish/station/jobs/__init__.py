"""Jobs: `blemish` commands as children of the server, which outlive it and are found again."""
