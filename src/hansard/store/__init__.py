"""Who remembers: stored completions in a SQL database, one committed row per acknowledged reply."""
