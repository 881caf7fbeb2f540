"""How Alembic runs the versions: on the connection it is handed, inside that connection's transaction.

Alembic executes this file by itself; nobody else imports it.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
