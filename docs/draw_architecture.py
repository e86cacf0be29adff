"""Draws docs/architecture.png, the house in one picture, from the imports of the code.

An arrow means "imports". One that follows from two others is left out. Run it as
``uv run python docs/draw_architecture.py``.
"""

import ast
from collections import Counter
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROOT = Path(__file__).parents[1]
ROOMS = (
    "gon_core", "search_spaces", "system", "records", "cli", "search", "resources", "planning",
    "trials", "backend", "report", "tracking", "runs", "sweeps/*.py",
)  # fmt: skip
DOORS = {"search": "optuna", "resources": "ray", "backend": "ray", "tracking": "mlflow"}
# Where each room stands from left to right, so that no arrow runs behind another room.
COLUMN = {
    "gon_core": -2.2, "search_spaces": -2.2, "system": 1.2, "records": 1.2, "cli": -5.2,
    "search": -1.4, "resources": -4.4, "planning": -3.4, "trials": 1.9, "backend": -1.7,
    "report": 3.6, "tracking": 3.6, "runs": 0.4, "sweeps/*.py": 0.4,
}  # fmt: skip
WIDTH, HEIGHT = 2.6, 0.72


def room(name: str) -> str | None:
    """Return the room of a dotted module name; None for modules of others."""
    parts = name.split(".")
    if parts[:2] == ["sweeps", "engine"]:
        return parts[2] if len(parts) > 2 else None
    return {"gon_core": "gon_core", "search_spaces": "search_spaces", "sweeps": "sweeps/*.py"}.get(
        parts[0]
    )


def sizes_and_imports() -> tuple[dict[str, tuple[int, int]], Counter[tuple[str, str]]]:
    """Return files and lines of each room, and how many imports lead from one to another."""
    sizes: dict[str, tuple[int, int]] = {}
    found: Counter[tuple[str, str]] = Counter()
    for package in ("gon_core", "search_spaces", "sweeps"):
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text()
            parts = path.relative_to(ROOT).with_suffix("").parts
            own = room(".".join(parts))
            if own is None or parts[-2:] == ("engine", "__init__"):
                continue
            files, lines = sizes.get(own, (0, 0))
            sizes[own] = (files + 1, lines + len(text.splitlines()))
            for node in ast.walk(ast.parse(text)):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = {target for name in names if (target := room(name))}
                found.update((own, target) for target in targets if target != own)
    return sizes, found


def floors(imports: Counter[tuple[str, str]]) -> dict[str, int]:
    """Return the floor of each room: one above the highest that it imports."""
    levels: dict[str, int] = {}
    for name in ROOMS:
        below = [target for source, target in imports if source == name]
        levels[name] = 1 + max((levels[target] for target in below), default=-1)
    return levels


def without_implied(imports: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the imports between rooms that do not follow from others."""
    reachable: dict[str, set[str]] = {}
    for name in ROOMS:
        direct = {target for source, target in imports if source == name}
        reachable[name] = direct.union(*(reachable[target] for target in direct))
    return [
        (source, target)
        for source, target in sorted(imports)
        if not any(
            target in reachable[between]
            for origin, between in imports
            if origin == source and between != target
        )
    ]


def draw(path: Path) -> None:
    """Draw the house; each room shows its files, its lines and the outside system it opens."""
    sizes, imports = sizes_and_imports()
    levels = floors(imports)
    centre = {name: (COLUMN[name], 1.25 * levels[name]) for name in ROOMS}
    figure, axes = plt.subplots(figsize=(9, 2.0 + max(levels.values())))
    for source, target in without_implied(imports):
        start, end = centre[source], centre[target]
        axes.add_patch(
            FancyArrowPatch(
                (start[0], start[1] - HEIGHT / 2), (end[0], end[1] + HEIGHT / 2),
                arrowstyle="-|>", mutation_scale=12,
                linewidth=1.1, color="0.45", zorder=1,
            )
        )  # fmt: skip
    for name, (x, y) in centre.items():
        files, lines = sizes[name]
        color = "#dbe9f6" if name in DOORS else "#f5f1e6"
        corner = (x - WIDTH / 2, y - HEIGHT / 2)
        axes.add_patch(
            FancyBboxPatch(
                corner, WIDTH, HEIGHT, boxstyle="round,pad=0.02,rounding_size=0.08",
                facecolor=color, edgecolor="0.3", linewidth=0.9, zorder=2,
            )
        )  # fmt: skip
        door = f"  ({DOORS[name]})" if name in DOORS else ""
        axes.text(x, y + 0.12, name + door, ha="center", va="center", weight="bold", zorder=3)
        axes.text(
            x, y - 0.18, f"{files} files, {lines:,} lines", ha="center", va="center",
            fontsize=8, color="0.25", zorder=3,
        )  # fmt: skip
    axes.set_xlim(min(x for x, _ in centre.values()) - 2, max(x for x, _ in centre.values()) + 2)
    axes.set_ylim(-0.7, max(y for _, y in centre.values()) + 0.7)
    axes.axis("off")
    figure.savefig(path, dpi=150, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    draw(ROOT / "docs/architecture.png")
