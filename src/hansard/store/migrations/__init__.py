"""How the tables came to be on disk: Alembic versions, run by ``hansard.store.migrate``."""
