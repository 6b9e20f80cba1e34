// Puts the interactive chart in the place of its picture; when one can't be drawn, the picture stays.
for (const figure of document.querySelectorAll("figure.chart[data-spec]")) {
  const picture = figure.querySelector("img");
  const view = document.createElement("div");
  view.hidden = true;
  figure.append(view);
  const spec = JSON.parse(document.getElementById(figure.dataset.spec).textContent);
  // ast: expressions are interpreted, since the page's policy forbids eval.
  vegaEmbed(view, spec, { mode: "vega-lite", renderer: "svg", actions: false, ast: true, logLevel: 1 }).then(() => {
    view.hidden = false;
    view.setAttribute("role", "img");
    view.setAttribute("aria-label", picture.alt);
    picture.remove();
  }, () => view.remove());
}
