"""Which code trains, and which evaluates: all machines of a sweep must have the same.

A checkpoint is only carried on by the code that wrote it. Otherwise a result would be of two codes,
and nobody could repeat it.
"""

import ast
import hashlib
import socket
from functools import cache
from importlib import metadata
from pathlib import Path

import gon_core

# What runs after the training has no part in a checkpoint.
WITHOUT = {"training": ("evaluation", "corruptions", "paper"), "evaluation": ("paper",)}
PACKAGES = {"training": ("torch",), "evaluation": ("foolbox", "torch", "torchvision")}


@cache
def training_code() -> dict[str, str]:
    """Return the version of torch and a hash of the training code, comments and docstrings aside.

    Imports no torch.
    """
    return _code("training")


@cache
def evaluation_code() -> dict[str, str]:
    """Return likewise what evaluates a model: that of the models and their images too."""
    return _code("evaluation")


def _code(kind: str) -> dict[str, str]:
    root = Path(gon_core.__path__[0])
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if inside.parts[0] not in WITHOUT[kind]:
            digest.update(f"{inside.as_posix()}\n{_meaning(path.read_text())}\n".encode())
    versions = {name: metadata.version(name) for name in PACKAGES[kind]}
    return {"gon_core": digest.hexdigest()[:16], **versions}


def other_code(code: dict[str, str]) -> str:
    """Return how the training code of this machine differs from the driver's, if it does."""
    return _difference("training", code, training_code())


def other_evaluation_code(code: dict[str, str]) -> str:
    """Return how the code of this machine that evaluates differs from the driver's, if it does."""
    return _difference("evaluation", code, evaluation_code())


def _difference(kind: str, code: dict[str, str], here: dict[str, str]) -> str:
    if differing := sorted(name for name in code | here if code.get(name) != here.get(name)):
        return f"{socket.gethostname()} has other {kind} code than the driver: {differing[0]}"
    return ""


def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.dump(tree)
