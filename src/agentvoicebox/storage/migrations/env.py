"""Alembic's entry: writes revisions as SQL (see storage.migrate, which runs it)."""

from alembic import context

context.configure(
    dialect_name="postgresql",
    as_sql=True,
    literal_binds=True,
    transactional_ddl=True,
    version_table=context.config.get_main_option("version_table"),
)
with context.begin_transaction():
    context.run_migrations()
