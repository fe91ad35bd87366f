// The training view: a slider through the epochs moves the answer of the network, the loss and the parameters.

const CLASS_COLOURS = ["--value", "--gradient", "--value-negative", "--gradient-negative", "--quiet"];

/** Build the view once; gives the function that shows a snapshot. */
function buildTraining() {
  const { snapshots, decision, epochs } = DATA.training;
  const answer = decision ? answerPlot(decision) : null;
  const losses = lossPlot(DATA.training);
  const parameters = element("div", { class: "plot parameters", tabindex: 0, role: "group", "aria-label": "Parameters" });
  const slider = element("input", { id: "epochs", type: "range", min: 0, max: snapshots.length - 1, value: snapshots.length - 1, "aria-label": "Epoch", input: () => show(Number(slider.value)) });
  const line = element("p", { id: "epoch", role: "status" });
  const by = (step) => () => show(Math.min(snapshots.length - 1, Math.max(0, Number(slider.value) + step)));
  find("training").classList.toggle("no-decision", !decision);
  find("training").append(
    ...(answer ? [answer.element] : []),
    element("div", { class: "side" }, losses.element, parameters),
    element("div", { class: "controls" },
      element("div", { class: "buttons" }, element("button", { "aria-label": "Epoch before", click: by(-1) }, "−1"), element("button", { "aria-label": "Next epoch", click: by(1) }, "+1")),
      slider, line),
  );
  function show(k) {
    const { epoch, loss } = snapshots[k];
    slider.value = k;
    slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
    line.textContent = `epoch ${epoch} of ${epochs - 1}, loss ${loss}`;
    answer?.show(k);
    losses.show(epoch);
    parameters.replaceChildren(element("h2", {}, "Parameters"), ...snapshots[k].parameters.flatMap(parameterRows));
  }
  return () => show(Number(slider.value));
}

function parameterRows({ path, table, short }) {
  const numbers = table ? tableOf(table) : element("p", { class: "small" }, short.map(([name, text]) => `${name} ${text}`).join(", "));
  return [element("h3", {}, path), element("div", { class: "value" }, numbers)];
}

// -- the loss ---------------------------------------------------------------------------------------------------

const PLOT = { width: 640, height: 300, left: 56, right: 14, top: 12, bottom: 30 };
const TALL = { ...PLOT, height: 560 };

function scales([x0, x1], [y0, y1], plot) {
  return {
    plot,
    x: (x) => plot.left + ((x - x0) / (x1 - x0 || 1)) * (plot.width - plot.left - plot.right),
    y: (y) => plot.height - plot.bottom - ((y - y0) / (y1 - y0 || 1)) * (plot.height - plot.top - plot.bottom),
  };
}

const plain = (number) => String(Number.isInteger(number) ? number : Number(number.toPrecision(3)));

/** Axes with their ends written on them. */
function axes(xs, ys, to) {
  const at = (x, y, text, anchor) => drawn("text", { x, y, "text-anchor": anchor }, text);
  return [
    drawn("path", { class: "axis", d: `M${to.x(xs[0])},${to.y(ys[1])}V${to.y(ys[0])}H${to.x(xs[1])}` }),
    at(to.x(xs[0]), to.plot.height - 8, plain(xs[0]), "start"), at(to.x(xs[1]), to.plot.height - 8, plain(xs[1]), "end"),
    at(to.plot.left - 8, to.y(ys[0]), plain(ys[0]), "end"), at(to.plot.left - 8, to.y(ys[1]) + 10, plain(ys[1]), "end"),
  ];
}

const drawing = (plot, label, ...children) => drawn("svg", { viewBox: `0 0 ${plot.width} ${plot.height}`, role: "img", "aria-label": label }, ...children);

function plotBox(title, note, picture) {
  return element("div", { class: "plot" }, element("h2", {}, title), element("p", { class: "small" }, note), element("div", { class: "picture" }, ...picture));
}

function lossPlot({ losses, epochs }) {
  const known = losses.filter(([, loss]) => loss !== null);
  const values = known.map(([, loss]) => loss);
  const [xs, ys] = [[0, Math.max(1, epochs - 1)], [Math.min(0, ...values), Math.max(...values, 1e-12)]];
  const to = scales(xs, ys, PLOT);
  const line = drawn("path", { class: "losses", d: known.length ? "M" + known.map(([k, loss]) => `${to.x(k)},${to.y(loss)}`).join("L") : "" });
  const here = drawn("circle", { class: "here", r: 6 });
  const show = (epoch) => {
    const [, loss] = known.reduce((best, point) => (Math.abs(point[0] - epoch) < Math.abs(best[0] - epoch) ? point : best), known[0] ?? [0, 0]);
    here.setAttribute("cx", to.x(epoch));
    here.setAttribute("cy", to.y(loss));
  };
  return { element: plotBox("Loss", `over ${epochs} epochs`, [drawing(PLOT, "the loss, epoch by epoch", ...axes(xs, ys, to), line, here)]), show };
}

// -- what the network answers -------------------------------------------------------------------------------------

function answerPlot(decision) {
  return decision.features === 1 ? curvePlot(decision) : regionPlot(decision);
}

const classColour = (k) => `var(${CLASS_COLOURS[k % CLASS_COLOURS.length]})`;

/** One feature: the answer as a curve, with the data. */
function curvePlot({ ranges: [xs], low, high, points, curves, classes, answer }) {
  const pad = 0.06 * (high - low || 1);
  const ys = [low - pad, high + pad];
  const to = scales(xs, ys, TALL);
  const lines = curves[0].map((_, j) => drawn("path", { class: "curve", style: answer === "class" ? `stroke: ${classColour(j)}` : null }));
  const dots = points.map(([x, y]) => drawn("circle", { class: "point", r: 7, cx: to.x(x), cy: to.y(answer === "class" ? high : y), fill: classes ? classColour(y) : "var(--ink)" }));
  const half = classes === 2 ? [drawn("path", { class: "half", d: `M${to.x(xs[0])},${to.y(0.5)}H${to.x(xs[1])}` })] : [];
  const show = (k) =>
    lines.forEach((line, j) => {
      const curve = curves[k][j];
      const x = (i) => to.x(xs[0] + (i / (curve.length - 1)) * (xs[1] - xs[0]));
      line.setAttribute("d", "M" + curve.map((share, i) => `${x(i).toFixed(1)},${to.y(low + share * (high - low)).toFixed(1)}`).join("L"));
    });
  const picture = drawing(TALL, "the answer of the network over its input, with the data", ...axes(xs, [low, high], to), ...half, ...lines, ...dots);
  return { element: plotBox("What the network answers", "over the range of the input; the dots are the data", [picture]), show };
}

/** Two features: the answer as colour, with the data. */
function regionPlot(decision) {
  const { ranges, side, points, classes, low, high } = decision;
  const holder = element("canvas", { width: 4 * side, height: 4 * side, "aria-hidden": "true" });
  const to = { x: (x) => (1000 * (x - ranges[0][0])) / (ranges[0][1] - ranges[0][0]), y: (y) => 1000 - (1000 * (y - ranges[1][0])) / (ranges[1][1] - ranges[1][0]) };
  const colour = (y) => (classes ? classColour(y) : `color-mix(in srgb, var(--gradient) ${Math.round((100 * (y - low)) / (high - low || 1))}%, var(--value))`);
  const dots = points.map(([x, z, y]) => drawn("ellipse", { class: "point", rx: 11, ry: 11, cx: to.x(x), cy: to.y(z), fill: colour(y) }));
  const overlay = drawn("svg", { viewBox: "0 0 1000 1000", preserveAspectRatio: "none", role: "img", "aria-label": "the answer of the network over its two inputs, with the data" }, ...dots);
  const round = () => {
    const { width, height } = overlay.getBoundingClientRect();
    if (width) for (const dot of dots) filled(dot, { rx: 7000 / width, ry: 7000 / height }, []);
  };
  new ResizeObserver(round).observe(overlay);
  const show = (k) => {
    const small = painted(side, side, regionColour(decision, k));
    const pen = holder.getContext("2d");
    pen.imageSmoothingEnabled = true;
    pen.drawImage(small, 0, 0, holder.width, holder.height);
  };
  const [a, b] = ranges;
  const note = `feature 1 from ${plain(a[0])} to ${plain(a[1])} across, feature 2 from ${plain(b[0])} to ${plain(b[1])} upwards; the dots are the data`;
  return { element: plotBox("What the network answers", note, [holder, overlay]), show };
}

/** The colour of a cell: between the two ends of an answer, or the winning class, stronger where it is surer. */
function regionColour({ side, levels, winners, answer, classes }, k) {
  const flipped = (cell) => (side - 1 - Math.floor(cell / side)) * side + (cell % side);
  const level = bytes(levels[k]);
  const paper = colourOf("--card");
  const ends = CLASS_COLOURS.map(colourOf);
  if (answer === "class") {
    const winner = bytes(winners[k]);
    return (cell) => mixed(paper, ends[winner[flipped(cell)] % ends.length], 0.15 + 0.5 * Math.max(0, (level[flipped(cell)] / 255 - 1 / classes) / (1 - 1 / classes)));
  }
  return (cell) => {
    const share = 2 * (level[flipped(cell)] / 255) - 1;
    return mixed(paper, ends[share < 0 ? 0 : 1], 0.08 + 0.52 * Math.abs(share));
  };
}
