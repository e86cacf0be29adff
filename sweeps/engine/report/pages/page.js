// Draws the charts in the colours of the page; sorts a table by its heads, and filters it.
(() => {
  const parts = document.querySelectorAll("script[data-for]");
  const texts = JSON.parse(document.getElementById("texts")?.textContent ?? "[]");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 600px)");

  const AXIS = 90; // pixels between two parallel coordinates, at least

  function theme(layout) {
    const style = getComputedStyle(document.body);
    const clear = "rgba(0,0,0,0)";
    const axis = { automargin: true, gridcolor: "#8884", zerolinecolor: "#8884", linecolor: "#8888" };
    const merged = {
      margin: { l: 60, r: 20, t: 30, b: 20 }, hovermode: "closest", autosize: true,
      ...layout,
      // Below the title of the axis the toolbar covers no legend, and the legend no plot.
      legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0 },
      paper_bgcolor: clear, plot_bgcolor: clear,
      font: { family: style.fontFamily, color: style.color, size: narrow.matches ? 11 : 13 },
      modebar: { bgcolor: clear, color: "#888", activecolor: style.color },
    };
    merged.xaxis = { ...axis, ...merged.xaxis };
    merged.yaxis = { ...axis, ...merged.yaxis };
    return merged;
  }

  function draw(part) {
    // What is black on a light page has the colour of its letters on a dark one.
    const ink = JSON.stringify(getComputedStyle(document.body).color);
    const { data, layout, choices } = JSON.parse(part.textContent.replaceAll('"#000000"', ink));
    for (const trace of data) if (trace.text) trace.text = trace.text.map((each) => texts[each]);
    if (choices) {
      const chosen = part.parentElement.querySelector("select").value;
      data.forEach((trace, index) => { trace.y = choices[chosen][index]; });
      layout.yaxis = { title: { text: chosen } };
    }
    if (narrow.matches) for (const trace of data) {
      if (trace.type === "heatmap") Object.assign(trace, { showscale: false, texttemplate: "" });
      if (trace.type === "parcoords") trace.line.showscale = false;
    }
    // Names of many axes need their room: such a chart scrolls by itself, as a table does.
    const axes = data[0].dimensions?.length ?? 0;
    document.getElementById(part.dataset.for).style.minWidth = `${AXIS * axes}px`;
    const config = { responsive: true, displaylogo: false };
    if (narrow.matches) config.displayModeBar = false;
    Plotly.react(part.dataset.for, data, theme(layout), config);
  }

  const drawAll = () => parts.forEach(draw);
  if (parts.length) {
    drawAll();
    for (const query of [dark, narrow]) query.addEventListener("change", drawAll);
    for (const part of parts)
      part.parentElement.querySelector("select")?.addEventListener("change", () => draw(part));
  }

  const value = (row, column) => row.cells[column].innerText.trim();
  // Ids of trials may begin with digits: a cell is a number if all of its first word is one.
  const numeral = /^[#<>≤†±~]*\s*([-+]?\d[\d.,]*(?:e[-+]?\d+)?)(?=\s|%|\/|$)/;
  const number = (text) => parseFloat((numeral.exec(text)?.[1] ?? "").replace(/,/g, ""));

  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    const sort = (head, column) => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].map((row) => [value(row, column), row]);
      const numeric = rows.every(([text]) => text === "" || !isNaN(number(text)));
      const compare = numeric ? (a, b) => number(a) - number(b) : (a, b) => a.localeCompare(b);
      rows.sort(([a], [b]) => {
        if (a === "" || b === "") return (a === "") - (b === "");
        return (up ? 1 : -1) * compare(a, b);
      });
      body.append(...rows.map(([, row]) => row));
    };
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.tabIndex = 0;
      head.addEventListener("click", () => sort(head, column));
      head.addEventListener("keydown", (event) => {
        if (event.key === "Enter") sort(head, column);
      });
    });
    const filter = table.parentElement.previousElementSibling;
    if (filter?.classList.contains("filter")) filter.addEventListener("input", () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of body.rows) {
        const text = row.innerText.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
    });
  }
})();
