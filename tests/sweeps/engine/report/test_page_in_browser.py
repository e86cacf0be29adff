"""The page in a real browser: what it draws, sorts and filters, on a phone and at a desk."""

import io

import pytest
from PIL import Image

from sweeps.engine.report import write_report
from sweeps.engine.report.pages import html
from tests.sweeps.engine.tracking.browser import CHROMIUM, Browser

# A head is reached and pressed as with a keyboard.
TABLE = """(() => {
  const table = [...document.querySelectorAll("table")].at(-1);
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const column = (at) => [...body.rows].map((row) => row.cells[at].innerText.trim());
  const sorted = (name) => {
    const at = heads.findIndex((head) => head.innerText.trim() === name);
    heads[at].focus();
    const press = () => {
      const event = new KeyboardEvent("keydown", { key: "Enter", bubbles: true });
      document.activeElement.dispatchEvent(event);
      return column(at);
    };
    return [press(), press()];
  };
  const found = Object.fromEntries(["trial", "sigma", "clean"].map((name) => [name, sorted(name)]));
  const filter = table.parentElement.previousElementSibling;
  const write = (words) => {
    filter.value = words;
    filter.dispatchEvent(new Event("input"));
  };
  write("DIVERGED");
  found.filtered = [...body.rows].filter((row) => row.offsetHeight).map((row) => row.innerText);
  write("");
  return { ...found, label: filter.ariaLabel };
})()"""
LAYOUT = """(() => {
  const box = (element) => element.getBoundingClientRect();
  const overlap = (a, b) =>
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const plots = [...document.querySelectorAll(".js-plotly-plot")], covered = [];
  for (const plot of plots) for (const legend of plot.querySelectorAll(".legend"))
    for (const other of plot.querySelectorAll(".xtitle, .ytitle, .xtick, .modebar, .nsewdrag"))
      if (overlap(box(legend), box(other))) covered.push(`${plot.id} ${other.classList}`);
  return {
    width: document.documentElement.scrollWidth, covered,
    names: plots.map((plot) => plot.id), left: plots.map((plot) => box(plot).left),
    toolbars: document.querySelectorAll(".modebar-btn").length,
    numbers: document.querySelectorAll("#corruptions_map .heatmap-label").length,
    hover: document.getElementById("progress").data[0].text[0],
    curve: document.getElementById("curves").data[0].y,
    metrics: [...document.querySelector("select").options].map((option) => option.text),
    ink: plots[0].querySelector(".xtitle").style.fill,
  };
})()"""

WHEN_DRAWN = f"""new Promise((done) => {{
  const look = (patience) => {{
    const waits = document.querySelector(".plot:not(.js-plotly-plot)") && patience;
    if (waits) setTimeout(look, 100, patience - 1);
    else setTimeout(() => done({{...{LAYOUT}, table: {TABLE}}}), 500);
  }};
  look(300);
}})"""


@pytest.mark.system
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_the_page_in_a_browser(make_sweep, line_search, monkeypatch, tmp_path):
    """PNG files of what it shows are kept in the test's folder."""
    from plotly.offline import get_plotlyjs

    monkeypatch.setattr(html, "get_plotlyjs", get_plotlyjs)
    records = make_sweep(line_search)
    write_report(records)
    page = tmp_path / "report.html"
    page.write_bytes(records.folder.read("report/report.html"))
    seen, pictures = {}, {}
    with Browser(tmp_path / "browser") as browser:
        for width, is_dark in ((400, True), (1400, False)):  # opening it takes five seconds
            _, picture = browser.open(
                page.as_uri(), ("Where it comes from",), script=WHEN_DRAWN, is_dark=is_dark,
                width=width, is_whole=True,
            )  # fmt: skip
            seen[width, is_dark] = browser.said
            pictures[width, is_dark] = Image.open(io.BytesIO(picture)).convert("L")
            (tmp_path / f"{width}_{'dark' if is_dark else 'light'}.png").write_bytes(picture)

    names = ["accuracy", "progress", "parallel", "corruptions_map", "curves"]
    for (width, is_dark), found in seen.items():
        assert found["names"] == names and found["covered"] == []
        assert found["width"] == width == pictures[width, is_dark].width, "no sideways scrolling"
        assert found["ink"] == ("rgb(255, 255, 255)" if is_dark else "rgb(0, 0, 0)")
        assert (pictures[width, is_dark].getpixel((2, 2)) < 50) == is_dark
        assert found["hover"].startswith("sigma 0<br>") and found["metrics"] == ["loss"]
        assert found["curve"] == [1.0, 0.5]
    narrow, wide = seen[400, True], seen[1400, False]
    assert len(set(narrow["left"])) == 1 and len(set(wide["left"])) == 2, "two columns at a desk"
    assert narrow["toolbars"] == narrow["numbers"] == 0
    assert wide["toolbars"] and wide["numbers"]

    table = wide["table"]
    ids, down = table["trial"]
    assert ids == sorted(ids) and down == ids[::-1], "hexadecimal ids are words"
    assert any(each[0].isdigit() for each in ids) and any(each[0].isalpha() for each in ids)
    sigmas = [float(each) for each in table["sigma"][0]]
    assert sigmas == sorted(sigmas) and [float(s) for s in table["sigma"][1]] == sigmas[::-1]
    clean = [each for each in table["clean"][1] if each]
    assert clean == sorted(clean, key=float, reverse=True)
    assert table["clean"][1][len(clean) :] == [""] * (len(ids) - len(clean)), "empty cells last"
    assert len(table["filtered"]) == 1 and "diverged" in table["filtered"][0]
    assert table["label"] == "Filter rows: Every trial"
