"""Which code trains: a checkpoint is only carried on by the code that wrote it.

Otherwise a result would be of two codes, and nobody could repeat it.
"""

import ast
import hashlib
import socket
from functools import cache
from importlib import metadata
from pathlib import Path

import gon_core

# What runs after the training has no part in a checkpoint.
WITHOUT = ("evaluation", "corruptions", "paper")


@cache
def training_code() -> dict[str, str]:
    """Return the version of torch and a hash of the training code, comments and docstrings aside.

    Imports no torch.
    """
    root = Path(gon_core.__path__[0])
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if inside.parts[0] not in WITHOUT:
            digest.update(f"{inside.as_posix()}\n{_meaning(path.read_text())}\n".encode())
    return {"gon_core": digest.hexdigest()[:16], "torch": metadata.version("torch")}


def other_code(code: dict[str, str]) -> str:
    """Return how the training code of this machine differs from the driver's, if it does."""
    here = training_code()
    if differing := sorted(name for name in code | here if code.get(name) != here.get(name)):
        return f"{socket.gethostname()} has other training code than the driver: {differing[0]}"
    return ""


def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.dump(tree)
