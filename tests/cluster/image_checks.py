"""What nobody checks in a Dockerfile before it is built. Each check returns the faults it finds."""

import fnmatch
import re
import shlex
import tomllib

from tests.cluster.definitions import ROOT, SECRET_NAMES, SECRET_VALUES, hosts

Instruction = tuple[str, str]


def instructions(dockerfile: str) -> list[Instruction]:
    """Return (name, rest) of each instruction, comments left out and long lines joined."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    split = [line.strip().partition(" ") for line in joined.splitlines() if line.strip()]
    return [(name.upper(), rest.strip()) for name, _, rest in split]


def copied(dockerfile: str) -> list[str]:
    """Return what is copied from the build context."""
    sources = []
    for name, rest in instructions(dockerfile):
        words = [word for word in shlex.split(rest) if not word.startswith("--")]
        if name in ("COPY", "ADD") and "--from" not in rest:
            sources += words[:-1]
    return sources


def base(dockerfile: str, ignored: str) -> list[str]:
    """The base image has a tag that does not move, from the registry that docker is set up for."""
    faults = []
    for name, rest in instructions(dockerfile):
        if name != "FROM":
            continue
        image = rest.split()[0]
        if not re.search(r":\d+\.\d+\.\d+", image) and "@sha256:" not in image:
            faults.append(f"FROM {image}: its tag moves, or there is none")
        if "." in image.partition("/")[0] and "/" in image:
            faults.append(f"FROM {image}: names a registry")
        python = re.search(r"python:(\d+\.\d+)", image)
        oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
        if python and _version(python[1]) < _version(oldest.strip(">=")):
            faults.append(f"FROM {image}: the project needs Python {oldest}")
    return faults


def user(dockerfile: str, ignored: str) -> list[str]:
    """It runs as a user without rights."""
    users = [rest for name, rest in instructions(dockerfile) if name == "USER"]
    is_root = not users or users[-1].split(":")[0] in ("root", "0")
    return ["USER: runs as root"] if is_root else []


def context(dockerfile: str, ignored: str) -> list[str]:
    """What is copied exists and is sent, and nothing else is."""
    faults, sources = [], copied(dockerfile)
    faults += [
        f"COPY {source}: does not exist" for source in sources if not (ROOT / source).exists()
    ]
    if any(name == "ADD" for name, _ in instructions(dockerfile)):
        faults.append("ADD fetches and unpacks; COPY does not")
    if "." in sources:
        faults.append("COPY . takes whatever lies there")
    rules = [line for line in ignored.splitlines() if line and not line.startswith("#")]
    if not rules or rules[0] != "*":
        faults.append("dockerignore: must begin with *, or everything is sent")
    sent = [rule[1:] for rule in rules if rule.startswith("!")]
    faults += [
        f"COPY {source}: not sent, dockerignore holds it back"
        for source in sources
        if not any(fnmatch.fnmatch(source, rule) for rule in sent)
    ]
    faults += [f"dockerignore: {rule} is sent for nothing" for rule in sent if rule not in sources]
    return faults


def layers(dockerfile: str, ignored: str) -> list[str]:
    """Packages are installed before the code is copied; what every commit changes comes last."""
    found = instructions(dockerfile)
    runs = [index for index, (name, _) in enumerate(found) if name == "RUN"]
    installs = [index for index in runs if "--no-install-project" in found[index][1]]
    code = [
        index for index, (name, rest) in enumerate(found) if name == "COPY" and "sweeps" in rest
    ]
    faults = []
    if not installs or (code and installs[0] > code[0]):
        faults.append("the code is copied before the packages: each change installs them again")
    if any(name == "ARG" and index < runs[-1] for index, (name, _) in enumerate(found)):
        faults.append("ARG before a RUN: another commit makes every layer anew")
    return faults


def uv(dockerfile: str, ignored: str) -> list[str]:
    """uv has a version, installs what a sweep needs, and compiles it once."""
    found = instructions(dockerfile)
    text = " ".join(rest for _, rest in found)
    faults = []
    if not re.search(r"\buv==\d+\.\d+\.\d+", text):
        faults.append("uv has no version")
    if not any(name == "ENV" and "UV_COMPILE_BYTECODE=1" in rest for name, rest in found):
        faults.append("UV_COMPILE_BYTECODE=1 is missing: every pod compiles torch")
    if re.search(r"uv sync(?![^&]*--no-dev)", text):
        faults.append("uv sync without --no-dev")
    return faults


def secrets(dockerfile: str, ignored: str) -> list[str]:
    """No secret is written down or prompted for, and no command says where packages come from."""
    faults = []
    for name, rest in instructions(dockerfile):
        names = re.findall(r"(\w+)(?:=|$)", rest) if name in ("ARG", "ENV") else []
        faults += [f"{name} {key}: stays in the image" for key in names if SECRET_NAMES.search(key)]
        if SECRET_VALUES.search(rest):
            faults.append(f"{name}: a secret in plain text")
        if name == "RUN":
            faults += [f"RUN {fault}" for fault in hosts([rest])]
    return faults


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


CHECKS = (base, user, context, layers, uv, secrets)
