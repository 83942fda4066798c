"""`agentvoicebox policy`: checks or exports the authorization rules."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from agentvoicebox.cli.console import Commands, console
from agentvoicebox.errors import SettingsError
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.policy.bundle import read_bundle, shipped_rules
from agentvoicebox.policy.embedded import EmbeddedPolicy

app = typer.Typer(cls=Commands, no_args_is_help=True, help="The authorization rules (Rego).")


@app.command()
def export(folder: Annotated[Path, typer.Argument(help="A new folder, or one without rules.")]) -> None:
    """Write the built-in rules to a folder, to change them or for an OPA server.

    agentvoicebox policy export my-policy

    Then set AVB_POLICY_DIR=my-policy, or run `opa run --server my-policy` and set AVB_OPA_URL=http://127.0.0.1:8181.
    """
    for path in sorted(shipped_rules().glob("*.rego")):
        target = folder / path.name
        if target.exists():
            raise SettingsError(f"{target} exists already; give another folder, or move it away")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        console.print(f"Wrote {target}", soft_wrap=True, markup=False)


@app.command()
def check(
    folder: Annotated[
        str, typer.Argument(help="A folder of rules; by default AVB_POLICY_DIR, or the built-in rules.")
    ] = "",
) -> None:
    """Check whether rules are valid; prints each error with its file and line."""
    folder = folder or load_settings().policy_dir
    EmbeddedPolicy(folder)
    bundle = read_bundle(folder)
    names = ", ".join(name for name, _ in bundle.modules)
    console.print(f"{names} in {bundle.origin}: valid (version {bundle.digest})", soft_wrap=True, markup=False)
