"""Every public name has a docstring."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ("gon_core", "search_spaces", "sweeps")
SOURCES = sorted(path for folder in HOUSE for path in (ROOT / folder).rglob("*.py"))


def undocumented(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of what is public, has no docstring and needs one.

    What is inside a function or a private class is not public; a pydantic validator is called by
    pydantic alone.
    """

    def visit(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[int, str]]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            decorators = [ast.unparse(decorator) for decorator in child.decorator_list]
            if child.name.startswith("_") or any("validator" in name for name in decorators):
                continue
            if any(name.endswith((".setter", "overload")) for name in decorators):
                continue
            if not (ast.get_docstring(child) or "").strip():
                yield child.lineno, prefix + child.name
            if isinstance(child, ast.ClassDef):
                yield from visit(child, f"{prefix}{child.name}.")

    if not (ast.get_docstring(tree) or "").strip():
        yield 1, "the module"
    yield from visit(tree, "")


def test_every_public_name_has_a_docstring():
    offenders = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in SOURCES
        for line, name in undocumented(ast.parse(path.read_text()))
    ]
    assert len(SOURCES) > 30
    assert not offenders, "\n".join(["", *offenders])


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = 1", ["the module"]),
        ("'''  '''", ["the module"]),
        ("'''M.'''\ndef f(): ...", ["f"]),
        ("'''M.'''\nasync def f(): ...", ["f"]),
        ("'''M.'''\nclass A:\n    def f(self): ...", ["A", "A.f"]),
        ("'''M.'''\nclass A:\n    '''A.'''\n    @property\n    def f(self): ...", ["A.f"]),
        ("'''M.'''\nclass A:\n    '''A.'''\n    def __len__(self): ...", []),
        ("'''M.'''\nclass _A:\n    def f(self): ...", []),
        ("'''M.'''\ndef _f(): ...", []),
        ("'''M.'''\ndef f():\n    '''F.'''\n    def g(): ...", []),
        ("'''M.'''\n@field_validator('x')\ndef f(): ...", []),
        ("'''M.'''\n@overload\ndef f(): ...", []),
    ],
)
def test_what_lacks_one_is_found(source, names):
    assert [name for _, name in undocumented(ast.parse(source))] == names
