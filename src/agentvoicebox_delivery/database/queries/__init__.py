"""SQL in files, one statement each."""

from importlib.resources import files


def load(name: str) -> str:
    """The statement in `<name>.sql`."""
    return files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
