"""``python -m sweeps``: every sweep with the question that it asks, and the other commands."""

import ast
import sys
from pathlib import Path

from rich.console import Console

from sweeps.engine.cli.help import WIDEST, entry
from sweeps.engine.cli.messages import unknown_word
from sweeps.engine.system.exit_codes import DONE
from sweeps.engine.system.leaving import leave, refuse

TOOLS = {
    "sweeps.engine.report FOLDER": "Draw the report of a sweep again, or compare several.",
    "sweeps.engine.records check FOLDER": "Verify every record and say where each trial stands.",
    "sweeps.engine.tracking replay FOLDER": "Send the records of a sweep to MLflow.",
    "gon_core.models.convert FILE OUT": "Write published weights as safetensors.",
    "gon_core.data.shards FOLDER OUT": "Write a folder of images as Parquet shards.",
}


def questions() -> dict[str, str]:
    """Return by name of a sweep the question that it asks: the first line of its file."""
    files = sorted(Path(__file__).parent.glob("[!_]*.py"))
    texts = {file.stem: ast.get_docstring(ast.parse(file.read_text())) or "" for file in files}
    return {name: text.partition("\n")[0] for name, text in texts.items()}


def main() -> int:
    """List the commands; return the exit code."""
    if words := [word for word in sys.argv[1:] if word not in ("-h", "--help")]:
        names = [f"sweeps/{name}.py" for name in questions()]
        refuse([unknown_word("argument", words[0], ["--help", *names])])
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for title, start, commands in (
        ("python sweeps/NAME.py [OPTIONS]   (--help: all options; --dry-run: what it costs)", "",
         questions()),
        ("tools", "python -m ", TOOLS),
    ):  # fmt: skip
        console.print(f"\n{title}", style="bold")
        for command, text in commands.items():
            console.print("\n".join(entry(start + command, text, min(console.width, WIDEST))))
    return DONE


if __name__ == "__main__":
    leave(main)
