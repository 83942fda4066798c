"""`python -m agentvoicebox.cli` is the same as `agentvoicebox`."""

from agentvoicebox.cli.main import app

if __name__ == "__main__":
    app()
