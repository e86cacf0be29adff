"""Figures and tables for a paper: without title, with text to change, as CSV and as LaTeX."""

import csv
import io
import xml.etree.ElementTree as ElementTree

import pytest

from sweeps.engine import report
from sweeps.engine.report import export_report
from sweeps.engine.report.__main__ import main
from sweeps.engine.report.figures import style
from sweeps.engine.report.pages.exported import to_csv, to_latex
from sweeps.engine.report.tables.table import Column, Row, Table, numbers, words

FIGURE = "mnist_c_vs_sigma"


@pytest.fixture
def records(make_sweep, monkeypatch):
    def render(name, *arguments, **changes):
        return style.render(name, *arguments, **changes) if name == FIGURE else {}

    monkeypatch.setattr(report, "render", render)
    trials = [(sigma, seed, "converged", 80 + sigma) for sigma in (0.2, 0.5) for seed in (0, 1)]
    return make_sweep(trials, seeds=2)


def texts(svg):
    return [
        "".join(each.itertext()).strip()
        for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def exported(records, name):
    return (records.folder / "export").read(name)


@pytest.mark.system
def test_the_text_of_an_exported_figure_is_text(records):
    names = export_report(records, ["png", "svg", "pdf"])
    assert sorted(names) == [f"{FIGURE}.pdf", f"{FIGURE}.png", f"{FIGURE}.svg"]
    assert exported(records, f"{FIGURE}.png").startswith(b"\x89PNG")
    pdf = exported(records, f"{FIGURE}.pdf")
    assert pdf.startswith(b"%PDF") and b"/CIDFontType2" in pdf and b"/Type3" not in pdf
    found = texts(exported(records, f"{FIGURE}.svg"))
    assert "sigma (in [0, 1] pixels)" in found and "best on validation: 0.5" in found
    again = {name: exported(records, name) for name in names}
    export_report(records, ["png", "svg", "pdf"])
    assert {name: exported(records, name) for name in names} == again


def test_a_bare_figure_has_neither_title_nor_caption(records):
    export_report(records, ["svg"])
    whole = texts(exported(records, f"{FIGURE}.svg"))
    export_report(records, ["svg"], is_bare=True)
    bare = texts(exported(records, f"{FIGURE}.svg"))
    title = records.read_sweep().title
    assert title in whole and title not in bare
    assert any(text.startswith("Deviations") for text in set(whole) - set(bare))
    captions = exported(records, "captions.txt").decode().splitlines()  # what is reduced is said
    assert captions[0].startswith("Deviations from the paper: 10,000 of 55,000 training images")
    assert f"{FIGURE}: MNIST-C mean test accuracy by sigma." in captions
    assert set(bare) < set(whole) and "sigma (in [0, 1] pixels)" in bare


TABLE = Table(
    title="Every value_1",
    columns=(*words("sigma", ""), *numbers("95 % ±"), Column("fog", is_vertical=True)),
    rows=(
        Row(("0.5", "best", "1.2", ""), "best"),
        Row((r"{a}\b & #1", "a\nlong story", "-", "~^$"), "paper"),
    ),
    note="In %, <100.",
)


def test_a_table_as_csv_is_read_as_it_was():
    lines = list(csv.reader(io.StringIO(to_csv(TABLE))))
    assert lines == [["sigma", "", "95 % ±", "fog"], *(list(row.cells) for row in TABLE.rows)]


def test_a_table_as_latex_escapes_what_latex_would_obey():
    lines = to_latex(TABLE).splitlines()
    assert lines[1] == r"\caption{Every value\_1. In \%, \textless{}100.}"
    assert lines[3:6] == [
        r"\begin{tabular}{llrr}",
        r"\toprule",
        r"sigma &  & 95 \% $\pm$ & \rotatebox{90}{fog} \\",
    ]
    assert lines[7:9] == [
        r"\textbf{0.5} & \textbf{best} & \textbf{1.2} &  \\",
        r"\textit{\{a\}\textbackslash{}b \& \#1} & \textit{a} & \textit{-} & "
        r"\textit{\textasciitilde{}\textasciicircum{}\$} \\",
    ]
    assert lines[-2:] == [r"\end{tabular}}", r"\end{table}"]


@pytest.mark.system
def test_the_command_prints_what_it_wrote(records, capsys):
    folder = records.folder.path
    assert main([folder, "--table-format", "csv", "tex"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert f"{folder}/export/every_value.csv" in printed
    assert f"{folder}/export/every_trial.tex" in printed
    rows = list(csv.DictReader(io.StringIO(exported(records, "every_value.csv").decode())))
    assert [row["mean"] for row in rows if row[""] in ("", "best")] == ["80.2", "80.5"]
    assert main([folder, "--bare"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}/export/{FIGURE}.pdf", f"{folder}/export/captions.txt",
    ]  # fmt: skip


def test_what_cannot_be_exported_is_refused(records, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([records.folder.path, "--figure-format", "jpg"])
    assert "png" in capsys.readouterr().err
    assert main([f"{records.folder.path}-not", "--bare"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
