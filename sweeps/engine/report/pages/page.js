// Draws the charts in the colours of the page; sorts a table by a click on a head, and filters it.
(() => {
  const parts = document.querySelectorAll("script[data-for]");

  function theme(layout) {
    const style = getComputedStyle(document.body);
    const axis = { gridcolor: "#8884", zerolinecolor: "#8884", linecolor: "#8888" };
    const merged = {
      margin: { l: 60, r: 20, t: 40, b: 50 }, hovermode: "closest", autosize: true,
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, xanchor: "left" },
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: style.fontFamily, color: style.color, size: 13 },
    };
    merged.xaxis = { ...axis, ...merged.xaxis };
    merged.yaxis = { ...axis, ...merged.yaxis };
    return merged;
  }

  function draw() {
    for (const part of parts) {
      const { data, layout } = JSON.parse(part.textContent);
      Plotly.react(part.dataset.for, data, theme(layout), { responsive: true, displaylogo: false });
    }
  }
  if (parts.length) {
    draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  const value = (row, column) => row.cells[column].innerText.trim();
  const number = (text) => parseFloat(text.replace(/,/g, "").replace(/^[^-+\d]*/, ""));

  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, column) => head.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].map((row) => [value(row, column), row]);
      const numeric = rows.every(([text]) => text === "" || !isNaN(number(text)));
      rows.sort(([a], [b]) => {
        if (a === "" || b === "") return (a === "") - (b === "");
        return (up ? 1 : -1) * (numeric ? number(a) - number(b) : a.localeCompare(b));
      });
      body.append(...rows.map(([, row]) => row));
    }));
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
