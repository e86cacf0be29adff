"""What table.md, report.html, the figure and the terminal say."""

import io
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
import torch
from rich.console import Console

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation.examples import Examples, dump
from sweeps.engine.records import EXAMPLES
from sweeps.engine.report import print_report, write_report
from sweeps.engine.report.figures import style
from sweeps.engine.report.figures.accuracy import draw_accuracy
from sweeps.engine.report.pages.terminal import to_terminal
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.tables.points import build_points
from tests.sweeps.engine.report.made_up import measured_sigmas, noise_file, write_sweep

FILES = [
    "mnist_c_per_corruption.png", "mnist_c_per_corruption.svg", "mnist_c_vs_sigma.png",
    "mnist_c_vs_sigma.svg", "report.html", "table.md",
]  # fmt: skip


def read(records, name):
    return (records.folder / "report").read(name)


def cells(markdown, label):
    """Return the cells of the line whose first two cells are ``label``, by column."""
    last = markdown.split("## Every value")[1]
    rows = [line[2:-2].split(" | ") for line in last.splitlines() if line[:1] == "|"]
    lines = [[cell.strip("*") for cell in row] for row in rows]
    (line,) = [line for line in lines if " ".join(line[:2]).strip() == label]
    return dict(zip(lines[0], line, strict=True))


class Tags(HTMLParser):
    """Collects tags, their attributes, and checks that they nest."""

    def __init__(self, page):
        super().__init__()
        self.seen, self.open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.system
def test_report_writes_all_files_and_finds_the_best(make_sweep, line_search, monkeypatch):
    monkeypatch.setattr("sweeps.engine.report.render", style.render)  # this one encodes its figures
    records = make_sweep(line_search)
    report = write_report(records)
    assert records.folder.exists("results.parquet")
    assert (records.folder / "report").names() == FILES
    assert report.summary.best.point == (0.5,)
    assert report.answer[0].startswith("Best: sigma 0.5")
    assert "3 of its 3 trials reached the epoch limit" in report.answer[1]
    assert "Published optimum: sigma 0.5, with 92.4 %" in report.answer[-1]
    assert report.figures == 2
    assert read(records, FILES[0]).startswith(b"\x89PNG")
    ElementTree.fromstring(read(records, FILES[1]))


def test_second_run_gives_the_same_bytes(make_sweep, line_search):
    records = make_sweep(line_search[:6])
    write_report(records)
    first = {name: read(records, name) for name in FILES}
    table = records.folder.read("results.parquet")
    write_report(records)
    assert first == {name: read(records, name) for name in FILES}
    assert table == records.folder.read("results.parquet")


def test_markdown_table(make_sweep, line_search):
    records = make_sweep(line_search)
    write_report(records)
    text = read(records, "table.md").decode()
    assert (
        "**Deviations from the paper: 10,000 of 55,000 training images; 2 epochs per trial" in text
    )
    best = cells(text, "0.5 best")
    assert {name.replace("_", " ") for name in CORRUPTIONS} < set(best)
    assert (best["mean"], best["published"], best["seeds"]) == ("86.5", "92.4", "3")
    ended = {
        sigma: {k: v for k, v in cells(text, sigma).items() if k.startswith("trials") and v}
        for sigma in ("0.5 best", "0.7", "0.9", "1.2")
    }
    assert ended == {
        "0.5 best": {"trials epoch limit": "3"},
        "0.7": {"trials converged": "3"},
        "0.9": {"trials converged": "2", "trials diverged": "1"},
        "1.2": {"trials converged": "1", "trials pruned": "2"},
    }
    assert cells(text, "0.9")["seeds"] == "2/3"
    assert cells(text, "1.2")["95 % ±"].rstrip("*\\").replace(".", "").isdigit()
    assert cells(text, "0.5 paper")["translate"] == "56"
    assert cells(text, "0 paper")["mean"] == "86.9"


def test_nothing_is_called_converged_that_is_not(make_sweep):
    statuses = ("max_epochs", "pruned", "diverged", "failed")
    trials = [(0.1 * i, 0, s, 80.0 if i == 0 else None) for i, s in enumerate(statuses)]
    records = make_sweep(trials, seeds=1, deviations=[])
    write_report(records)
    for name in ("report.html", "table.md"):
        text = read(records, name).decode()
        assert "converged" not in re.sub("not converged", "", text)
    labels = draw_accuracy(summarise(records)).axes[0].get_legend_handles_labels()[1]
    assert "trial, epoch limit reached, not converged" in labels
    assert "pruned, not measured (1)" in labels
    assert "trial, converged" not in labels


def test_page_is_whole_and_needs_nothing_else(make_sweep, line_search):
    records = make_sweep(line_search)
    write_report(records)
    page = read(records, "report.html").decode()
    tags = Tags(page)
    assert tags.open == []
    sources = [value for _, a in tags.seen for k, value in a.items() if k in ("src", "href")]
    assert sources == []  # both figures are charts
    assert "url(" not in page and "@import" not in page
    stated = ("0123abcd, with changes", "torch 2.9.1", "sha256:feed", "mlflow ui", "--scale demo")
    assert all(text in page for text in stated)
    assert page.count("<details>") == 2
    assert "epoch limit reached, not converged" in page
    assert (
        page.index("Deviations from the paper:")
        < page.index("Best: sigma 0.5")
        < page.index('id="accuracy"')
    )


def test_a_figure_says_where_its_numbers_are_and_where_it_has_none_it_says_nothing(tmp_path):
    records = write_sweep(tmp_path, [*measured_sigmas(1)], noise_file(), seeds=1)
    records.folder.write(EXAMPLES, dump(Examples(torch.zeros(3, 1, 28, 28, dtype=torch.uint8), {})))
    write_report(records)
    page = read(records, "report.html").decode()
    alts = [attributes["alt"] for tag, attributes in Tags(page).seen if tag == "img"]
    ends = {"tables": "The tables below hold the numbers.", "parquet": "results.parquet holds the"}
    stated = {alt.split(",")[0]: [k for k, end in ends.items() if end in alt] for alt in alts}
    assert stated == {
        "The noise learned at the best point": [],
        "The learned noise of every point shown: its density": [],
        "Accuracy against severity for each corruption": ["parquet"],
        "Test images with Gaussian noise of each sigma": [],
        "Median perturbation size epsilon*": ["tables"],
        "Every corruption on the same test images.": [],
    }


def test_figures_have_their_natural_width_and_numbers_their_heads_above_them(
    make_sweep, line_search
):
    records = make_sweep(line_search)
    write_report(records)
    page = read(records, "report.html").decode()
    (rule,) = re.findall(r"figure img {([^}]*)}", page)
    assert "max-width: 100%" in rule and not re.search(r"(^|;)\s*width", rule)
    for head, kind in (("mean", ' class="number"'), ("p", ' class="number"'), ("status", "")):
        assert f'<th scope="col"{kind}>{head}</th>' in page


def test_the_window_names_the_folder_and_not_every_file(make_sweep, line_search):
    records = make_sweep(line_search)
    console = Console(width=500, file=io.StringIO())
    print_report(write_report(records), console)
    printed = console.file.getvalue()
    (line,) = [line for line in printed.splitlines() if records.folder.uri in line]
    assert "report.html" in line and "2 figures" in line and ".svg" not in printed


def test_text_of_the_user_is_never_markup(make_sweep):
    evil = '<script>alert("x")</script> | $\\frac{1$ & **bold**'
    trials = [(0.5, 0, "converged", 80.0), (0.5, 1, "failed", None)]
    records = make_sweep(trials, name=evil, title=evil, deviations=[evil], command=evil)
    failed = next(r for r in records.results() if r.status == "failed")
    records.trial(failed.trial_id).write_result(failed.model_copy(update={"reason": evil}))
    write_report(records)
    page = read(records, "report.html").decode()
    assert "<script>alert" not in page and "&lt;script&gt;" in page
    assert "b" not in {tag for tag, _ in Tags(page).seen}
    text = read(records, "table.md").decode()
    assert "<script" not in text and " | $" not in text


@pytest.mark.parametrize("width", [80, 120, 160])
def test_terminal_cuts_nothing_off(make_sweep, width):
    grid = [round(0.05 * i, 2) for i in range(21)]
    records = make_sweep([(s, 0, "max_epochs", 80 + s) for s in grid], seeds=1, deviations=[])
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    summary = summarise(records)
    console.print(to_terminal(summary, (build_points(summary),), ("Best.",), width))
    text = console.file.getvalue()
    assert "…" not in text
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    heads = [word for line in lines if line.split()[:1] == ["sigma"] for word in line.split()]
    assert {f"{value:g}" for value in grid} <= set(heads)
    assert len(re.findall(r"\b80\.\d\b", text)) >= 20
