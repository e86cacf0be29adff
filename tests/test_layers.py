"""The house rules: who may import whom, where each outside system's door is, what is not used.

Source files are read, not imported: imports inside functions and for type checkers count as well.
"""

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ("gon_core", "search_spaces", "sweeps")
ROOMS = (
    "system", "records", "cli", "search", "resources", "planning", "trials", "backend", "report",
    "tracking", "runs",
)  # fmt: skip
LAYERS = (
    "gon_core", "search_spaces", *(f"sweeps.engine.{room}" for room in ROOMS), "sweeps.engine",
    "sweeps",
)  # fmt: skip
TOP = len(LAYERS) - 1
MOST_FILES, MOST_LINES = 16, 350
NOT_THE_HOUSE = ("tests", "benchmarks", "cluster")
DOORS = {
    "ray": ("sweeps.engine.backend", "sweeps.engine.resources"),
    "mlflow": ("sweeps.engine.tracking",),
    "optuna": ("sweeps.engine.search", "search_spaces"),
}
UNSAFE_MODULES = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")
UNSAFE_NAMES = (
    "torch.load", "torch.save", "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load",
    "os.system", "os.popen", "eval", "exec", "__import__",
    "subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell",
)  # fmt: skip
CHILD_PROCESSES = ("run", "Popen", "call", "check_call", "check_output")
UNSAFE_ARGUMENTS = ("shell", "allow_pickle")


@dataclass(frozen=True)
class Module:
    """A source file by its dotted name."""

    name: str
    tree: ast.Module
    is_package: bool = False


@dataclass(frozen=True)
class Import:
    """One imported module or name, and whether importing the importer imports it."""

    target: str
    line: int
    at_import: bool


def is_in(name: str, package: str) -> bool:
    """Whether a dotted name is ``package`` or below it."""
    return name == package or name.startswith(package + ".")


def read_house() -> list[Module]:
    """Return every module of the house."""
    found = []
    for path in sorted(path for folder in HOUSE for path in (ROOT / folder).rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found.append(Module(name, ast.parse(path.read_text(), str(path)), is_package))
    return found


def source(node: ast.AST) -> str:
    """Return what ``ast.unparse`` does, for names and their attributes at once."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{source(node.value)}.{node.attr}"
    return ast.unparse(node)


def imports(module: Module, known: Collection[str]) -> Iterator[Import]:
    """Yield what ``module`` imports; a submodule counts as itself, not as its package's name."""

    def visit(node: ast.AST, at_import: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_import)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node)
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield Import(name if name in known else base, node.lineno, at_import)
        elif isinstance(node, ast.Call) and source(node.func).endswith("import_module"):
            target = node.args[0]
            literal = isinstance(target, ast.Constant)
            yield Import(str(target.value) if literal else "?", node.lineno, at_import)
        later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for name, value in ast.iter_fields(node):
            skipped = isinstance(node, ast.If) and name == "body" and for_checkers(node)
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from visit(child, at_import and not skipped and not later)

    def for_checkers(node: ast.If) -> bool:
        return source(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")

    def absolute(node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = module.name.split(".")
        package = package[: len(package) - node.level + module.is_package]
        return ".".join(package + ([node.module] if node.module else []))

    return visit(module.tree, at_import=True)


def layer(name: str) -> int:
    """Return the layer of a module of the house, the lowest first."""
    for index, package in enumerate(LAYERS):
        if is_in(name, package):
            return index
    raise AssertionError(f"{name} is in no layer")


# A model of the user's own is named by an option, and by nothing that is read from a file.
MAY_COMPUTE_NAMES = ("gon_core.models.outside",)


def wrong_imports(modules: Sequence[Module]) -> list[str]:
    """Return every import that goes upward or does not use the door."""
    known = {module.name for module in modules}
    faults = []
    for module in modules:
        for found in imports(module, known):
            target, where = found.target, f"{module.name}:{found.line}"
            if any(is_in(target, outside) for outside in NOT_THE_HOUSE):
                faults.append(f"{where} imports {target}, which is not installed")
            elif any(is_in(target, package) for package in HOUSE):
                if layer(target) > layer(module.name):
                    faults.append(f"{where} imports {target} from a layer above")
                elif module.name != "sweeps" and layer(module.name) == layer(target) == TOP:
                    faults.append(f"{where} imports {target}: one sweep knows no other")
            for package, doors in DOORS.items():
                if is_in(target, package) and not any(is_in(module.name, door) for door in doors):
                    faults.append(f"{where} imports {target}, whose doors are {', '.join(doors)}")
            if target == "?" and module.name not in MAY_COMPUTE_NAMES:
                faults.append(f"{where} imports a module whose name is computed")
    return faults


def cycles(modules: Sequence[Module]) -> list[str]:
    """Return the cycles among the imports that run when a module is imported."""
    known = {module.name: module for module in modules}  # in their order
    edges = {
        module.name: sorted(
            {
                found.target
                for found in imports(module, known)
                if found.at_import and found.target in known and found.target != module.name
            }
        )
        for module in modules
    }
    found, done, path = [], set(), []

    def visit(name: str) -> None:
        if name in path:
            found.append(" -> ".join([*path[path.index(name) :], name]))
        elif name not in done:
            path.append(name)
            for target in edges[name]:
                visit(target)
            path.pop()
            done.add(name)

    for name in known:
        visit(name)
    return found


def unsafe(module: Module) -> list[str]:
    """Return every use of something that runs code from data, or a shell."""
    meaning: dict[str, str] = {}
    faults = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                meaning[alias.asname or alias.name] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                meaning[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(module.tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Name | ast.Attribute):
            head, dot, tail = source(node).partition(".")
            names = [meaning.get(head, head) + dot + tail]
        elif isinstance(node, ast.keyword) and node.arg in UNSAFE_ARGUMENTS:
            names = [f"{node.arg}={source(node.value)}"]
        for name in names:
            given = name.partition("=")[0] in UNSAFE_ARGUMENTS and not name.endswith("=False")
            if given or name in UNSAFE_NAMES or any(is_in(name, part) for part in UNSAFE_MODULES):
                faults.append(f"{module.name}:{node.lineno} uses {name}")
    return faults


def not_an_argument_list(module: Module) -> list[str]:
    """Return every child process whose command is not plainly a list of its arguments."""
    assigned: dict[str, list[ast.expr]] = {}
    faults = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                assigned.setdefault(source(target), []).append(node.value)
    started = {f"subprocess.{name}" for name in CHILD_PROCESSES}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module == "subprocess":
            names = [alias.name for alias in node.names if alias.name in CHILD_PROCESSES]
            faults += [f"{module.name}:{node.lineno} imports {name} by itself" for name in names]
        if not isinstance(node, ast.Call) or source(node.func) not in started:
            continue
        command = node.args[0] if len(node.args) == 1 else None
        known = assigned.get(command.id, []) if isinstance(command, ast.Name) else [command]
        is_list = bool(known) and all(isinstance(value, ast.List) for value in known)
        if not is_list or any(keyword.arg is None for keyword in node.keywords):
            faults.append(f"{module.name}:{node.lineno} starts {source(node)}")
    return faults


HOUSE_MODULES = read_house()


def test_every_module_is_read():
    names = {module.name for module in HOUSE_MODULES}
    assert {"gon_core.config", "search_spaces.strength", "sweeps.engine.backend.tuner"} <= names
    assert {"gon_core", "sweeps", "sweeps.engine.report", "sweeps.sigma_line_search"} <= names


def test_nothing_imports_upward_and_every_outside_system_has_its_door():
    assert not (faults := wrong_imports(HOUSE_MODULES)), "\n".join(["", *faults])


def test_every_file_of_the_engine_is_in_a_room_and_no_room_is_crowded():
    names = [m.name for m in HOUSE_MODULES if is_in(m.name, "sweeps.engine")]
    loose = [name for name in names if layer(name) == LAYERS.index("sweeps.engine")]
    assert loose == ["sweeps.engine"]
    for folder in (ROOT / "sweeps").rglob("*"):
        if folder.is_dir() and folder.name != "figures":  # one file a figure: that may grow
            assert len(list(folder.glob("*.py"))) <= MOST_FILES, folder


def test_no_file_is_longer_than_a_concept():
    long = {
        path: lines
        for package in HOUSE
        for path in (ROOT / package).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert not long


def test_no_module_imports_itself_through_others():
    assert not (faults := cycles(HOUSE_MODULES)), "\n".join(["", *faults])


def test_nothing_runs_code_from_data_or_a_shell():
    faults = [fault for module in HOUSE_MODULES for fault in unsafe(module)]
    # torchvision's files of CIFAR-10 are pickles: that module writes them, and loads none.
    writes = ("uses pickle", "uses pickle.dumps")
    faults = [f for f in faults if not ("data.cifar_png:" in f and f.endswith(writes))]
    # Published weights are read there, and nowhere else, by torch's reader that runs no code.
    faults = [f for f in faults if not ("models.convert:" in f and f.endswith("torch.load"))]
    assert not faults, "\n".join(["", *faults])


def test_child_processes_get_lists_of_arguments():
    faults = [fault for module in HOUSE_MODULES for fault in not_an_argument_list(module)]
    assert not faults, "\n".join(["", *faults])
    (module,) = [m for m in HOUSE_MODULES if m.name == "sweeps.engine.system.provenance"]
    calls = [source(node.func) for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    assert "subprocess.run" in calls  # else nothing was looked at


def made_up(**sources: str) -> list[Module]:
    """Return modules of made-up source, named with ``__`` for each dot."""
    return [Module(name.replace("__", "."), ast.parse(text)) for name, text in sources.items()]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("gon_core.a", "import search_spaces"),
        ("gon_core.a", "from sweeps.engine.planning import plan"),
        ("gon_core.a", "def f():\n    import sweeps.engine.planning.plan"),
        ("gon_core.a", "class A:\n    async def f(self):\n        from search_spaces import joint"),
        ("gon_core.a", "if TYPE_CHECKING:\n    from search_spaces.strength import strength"),
        ("gon_core.a", "from ..sweeps import engine"),
        ("gon_core.a", "import ray"),
        ("gon_core.a", "import optuna.samplers as s"),
        ("search_spaces.a", "from sweeps.engine.cli.options import parse"),
        ("search_spaces.a", "import mlflow"),
        ("sweeps.engine.system.a", "from sweeps.engine.records.storage import Folder"),
        ("sweeps.engine.trials.a", "from sweeps.engine.backend import tuner"),
        ("sweeps.engine.trials.a", "import ray"),
        ("sweeps.engine.planning.a", "import sweeps.sigma_line_search"),
        ("sweeps.engine.planning.a", "from sweeps import sigma_line_search"),
        ("sweeps.engine.report.a", "from ray import tune"),
        ("sweeps.engine.search.study", "import ray"),
        ("sweeps.engine.report.a", "import optuna"),
        (
            "sweeps.engine.planning.a",
            "try:\n    from mlflow import entities\nexcept ImportError:\n    x",
        ),
        ("sweeps.engine.planning.a", "importlib.import_module('ray.tune')"),
        ("sweeps.engine.planning.a", "import_module(name)"),
        ("sweeps.engine.planning.a", "from tests import conftest"),
        ("sweeps.a_sweep", "import mlflow"),
        ("sweeps.a_sweep", "from sweeps.other_sweep import QUESTION"),
    ],
)
def test_a_wrong_import_is_found(name, source):
    assert len(wrong_imports([Module(name, ast.parse(source))])) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("gon_core.a", "import torch, gon_core.b\nfrom gon_core import c"),
        ("search_spaces.a", "from gon_core import config\nimport optuna"),
        ("sweeps.engine.planning.a", "import rayon, search_spaces.strength\nfrom . import b"),
        ("sweeps.engine.search.study", "import optuna"),
        ("sweeps.engine.backend.cluster", "def f():\n    import ray"),
        ("sweeps.engine.backend.tuner", "import ray.tune"),
        ("sweeps.engine.tracking", "def f():\n    import mlflow"),
        ("sweeps.a_sweep", "from sweeps.engine.runs.sweep import run_sweep"),
    ],
)
def test_a_right_import_is_let_through(name, source):
    assert not wrong_imports([Module(name, ast.parse(source))])


def test_a_cycle_is_found_through_packages_and_relative_imports():
    modules = made_up(
        gon_core__a="from gon_core import b",
        gon_core__b="from . import c",
        gon_core__c="if True:\n    import gon_core.a",
    )
    assert cycles(modules) == ["gon_core.a -> gon_core.b -> gon_core.c -> gon_core.a"]


@pytest.mark.parametrize(
    "source",
    ["def f():\n    import gon_core.a", "if TYPE_CHECKING:\n    import gon_core.a", "x = 1"],
)
def test_an_import_that_does_not_run_at_import_makes_no_cycle(source):
    assert not cycles(made_up(gon_core__a="import gon_core.b", gon_core__b=source))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import dumps",
        "import torch\ntorch.load(path)",
        "import torch as t\nt.load(path)",
        "from torch import load as read\nread",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "import os\nos.system('ls')",
        "subprocess.run('ls', shell=True)",
        "subprocess.run('ls', shell=flag)",
        "subprocess.getoutput('ls')",
        "from subprocess import getstatusoutput as run\nrun('ls')",
        "import asyncio\nasyncio.create_subprocess_shell('ls')",
        "np.load(path, allow_pickle=True)",
        "eval('1')",
    ],
)
def test_an_unsafe_construct_is_found(source):
    (module,) = made_up(gon_core__a=source)
    assert unsafe(module)


@pytest.mark.parametrize(
    "source",
    [
        "from safetensors.torch import load\nload(data)",
        "import yaml\nyaml.safe_load(text)",
        "subprocess.run(['ls'], shell=False)",
        "model.eval()",
        "'torch.load'  # pickle",
    ],
)
def test_a_safe_construct_is_let_through(source):
    (module,) = made_up(gon_core__a=source)
    assert not unsafe(module)


@pytest.mark.parametrize(
    "source",
    [
        "subprocess.run('ls -l')",
        "subprocess.Popen(f'ls {folder}')",
        "subprocess.check_output(' '.join(words))",
        "command = 'ls'\nsubprocess.run(command)",
        "command = ['ls']\ncommand = shlex.join(command)\nsubprocess.call(command)",
        "def f(command):\n    subprocess.run(command)",
        "subprocess.run(['ls'], **options)",
        "subprocess.run(['ls'], -1)",
        "subprocess.run(args='ls')",
        "from subprocess import run\nrun('ls')",
    ],
)
def test_a_command_that_is_not_a_list_is_found(source):
    (module,) = made_up(gon_core__a=source)
    assert len(not_an_argument_list(module)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "subprocess.run(['git', '-C', str(folder), *arguments], check=True)",
        "command = ['ls', *words]\nsubprocess.Popen(command, text=True)",
        "other.run('ls')",
    ],
)
def test_a_command_that_is_a_list_is_let_through(source):
    (module,) = made_up(gon_core__a=source)
    assert not not_an_argument_list(module)
