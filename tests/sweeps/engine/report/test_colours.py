"""Colours of figures and of the terminal: seen by the colour-blind, and left out on request."""

import io
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from skimage.color import deltaE_ciede2000, rgb2lab

import sweeps
from sweeps import sigma_line_search
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.records.__main__ import main
from sweeps.engine.report.figures.style import GREY, PUBLISHED, SERIES
from sweeps.engine.runs.dry_run import show_deviations

# Machado et al. 2009, full severity: what is left of linear red, green and blue.
SEEN = {
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "protanopia": (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}  # fmt: skip
APART = 10  # CIEDE2000: a hue of its own; 2 is just noticed side by side


def seen(colour, kind):
    """Return a colour as somebody sees it, in CIELAB."""
    value = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(SEEN[kind]) @ linear, 0, 1)
    value = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(value)


def closest(colours, kind):
    pairs = itertools.combinations([seen(colour, kind) for colour in colours], 2)
    return min(float(deltaE_ciede2000(one, other)) for one, other in pairs)


@pytest.mark.parametrize("kind", SEEN)
def test_the_colour_blind_tell_every_two_colours_of_figures_apart(kind):
    assert closest([*(colour for colour, *_ in SERIES), PUBLISHED, GREY], kind) > APART


@pytest.mark.parametrize("kind", ["deuteranopia", "protanopia"])
def test_red_and_green_would_be_found(kind):
    assert closest(["#8c6d31", "#637939"], kind) < APART


def test_no_two_series_differ_by_colour_alone():
    assert len({(marker, dashes) for _, marker, dashes in SERIES}) == len(SERIES)


COLOUR = r"\x1b\[[\d;]*3\d"


@pytest.mark.parametrize(("no_color", "has_colours"), [("1", False), ("", True)])
def test_no_color_is_respected_in_a_terminal(
    no_color, has_colours, make_sweep, monkeypatch, capsys
):
    records = make_sweep([(0.5, 0, "failed", None)], seeds=1)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    monkeypatch.setenv("TERM", "xterm-256color")
    main(["check", records.folder.uri])
    shown = capsys.readouterr().out
    assert "failed" in shown and bool(re.search(COLOUR, shown)) == has_colours


def test_numbers_of_the_deviations_have_no_colours_of_their_own():
    options = sigma_line_search.Options(scale="demo")
    console = Console(file=io.StringIO(), force_terminal=True, markup=False, width=500)
    show_deviations(make_plan(line_spec(options, options.sigmas), options), console)
    shown = console.file.getvalue()
    assert "Deviations from the paper at scale demo: " in shown
    assert not re.search(COLOUR, shown.split("Deviations")[1])


def test_colours_of_the_terminal_come_from_rich_alone():
    sources = [path.read_text() for path in Path(sweeps.__file__).parent.rglob("*.py")]
    assert sources and not any(escape in text for text in sources for escape in ("\\x1b", "\\033"))
