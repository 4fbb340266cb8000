"""Alembic runs this; the connection comes from `migrate`."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    render_as_batch=True,  # SQLite alters a table by writing it anew
    transactional_ddl=False,  # `migrate` holds the transaction
)
context.run_migrations()
