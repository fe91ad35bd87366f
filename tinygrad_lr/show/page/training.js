// The training view: a slider through the user's epochs moves the loss, the parameters and the output of the network.

const { first: FIRST_EPOCH, last: LAST_EPOCH, snapshots: SNAPSHOTS } = DATA.training ?? {};
const RUN = { seconds: 12, quickest: 60, slowest: 700 }; // to play all epochs, and milliseconds between two pictures
const EPOCHS = { range: [FIRST_EPOCH, Math.max(LAST_EPOCH, FIRST_EPOCH + 1)], title: "epoch", whole: true };

/** The last of ascending numbers that is not above one; the first where all are. */
function lastUpTo(ascending, number) {
  let [low, high] = [0, ascending.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (ascending[middle] <= number) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Build the view once; returns the function that shows the current epoch again. */
function buildTraining() {
  const { decision, losses, parameters } = DATA.training;
  const loss = lossPlot(losses);
  const output = decision ? outputPlot(decision) : null;
  const all = parametersPlot(parameters);
  const controls = epochControls(show);
  find("training").append(
    element("div", { class: "board", tabindex: 0, role: "group", "aria-label": "Plots of the training" }, (output ?? loss).element, element("div", { class: "side" }, ...(output ? [loss.element] : []), all.element)),
    controls.element,
  );
  function show(epoch) {
    const k = lastUpTo(SNAPSHOTS, epoch);
    const known = loss.known(epoch);
    controls.tell(epoch, `${known.epoch === epoch ? "" : `at epoch ${written(known.epoch)} `}${known.text}`, k);
    output?.show(k);
    loss.show(epoch);
    all.show(k);
  }
  return () => {
    for (const repaint of BARS) repaint();
    controls.again();
  };
}

// -- the epoch ------------------------------------------------------------------------------------------------------

/** Slider, buttons and keys; show(epoch) is called at every change. */
function epochControls(show) {
  let epoch = LAST_EPOCH;
  let timer = null;
  const goTo = (to) => {
    epoch = Math.min(LAST_EPOCH, Math.max(FIRST_EPOCH, to));
    if (epoch === LAST_EPOCH) play(false);
    show(epoch);
  };
  const by = (step) => () => goTo(epoch + step);
  const bySnapshot = (step) => () => {
    const k = lastUpTo(SNAPSHOTS, epoch);
    goTo(step < 0 && SNAPSHOTS[k] < epoch ? SNAPSHOTS[k] : (SNAPSHOTS[k + step] ?? (step < 0 ? FIRST_EPOCH : LAST_EPOCH)));
  };
  const button = (label, path, click, more = {}) => element("button", { "aria-label": label, click, ...more }, drawn("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, drawn("path", { d: path })));
  const player = button("Play", "", () => play(!timer), { "aria-pressed": "false" });
  const slider = element("input", { id: "epochs", type: "range", min: FIRST_EPOCH, max: LAST_EPOCH, step: 1, value: LAST_EPOCH, "aria-label": "Epoch", input: () => goTo(Number(slider.value)) });
  const line = element("span");
  const whose = element("span", { class: "small" });
  const status = element("p", { id: "epoch", role: "status" }, line, whose);
  function play(on) {
    clearInterval(timer);
    timer = null;
    const epochs = LAST_EPOCH - FIRST_EPOCH;
    if (on && epochs) {
      if (epoch === LAST_EPOCH) goTo(FIRST_EPOCH);
      const pace = Math.min(RUN.slowest, Math.max(RUN.quickest, (1000 * RUN.seconds) / epochs));
      const step = Math.max(1, Math.round((epochs * pace) / (1000 * RUN.seconds)));
      timer = setInterval(() => (find("training").hidden ? play(false) : goTo(epoch + step)), pace);
    }
    player.setAttribute("aria-pressed", String(Boolean(timer)));
    player.setAttribute("aria-label", timer ? "Pause" : "Play");
    player.querySelector("path").setAttribute("d", timer ? "M3 2h4v12H3zM9 2h4v12H9z" : "M2 2v12l12-6z");
    status.setAttribute("aria-live", timer ? "off" : "polite"); // or some twenty epochs a second would be read out
  }
  function tell(epoch, loss, k) {
    const at = written(epoch);
    slider.value = epoch;
    slider.setAttribute("aria-valuetext", `epoch ${at}`);
    line.textContent = `epoch ${at} of ${written(LAST_EPOCH)}, loss ${loss}`;
    const before = SNAPSHOTS[k] < epoch ? "the snapshot before" : "the first snapshot";
    whose.textContent = `network as of ${SNAPSHOTS[k] === epoch ? "this epoch" : `epoch ${written(SNAPSHOTS[k])}, ${before}`}`;
  }
  play(false);
  listenToEpochKeys({
    ArrowRight: by(1), ArrowLeft: by(-1), "Shift ArrowRight": bySnapshot(1), "Shift ArrowLeft": bySnapshot(-1),
    Home: () => goTo(FIRST_EPOCH), End: () => goTo(LAST_EPOCH), " ": () => play(!timer),
  });
  const buttons = element("div", { class: "buttons" },
    button("First epoch", "M2 2h2v12H2zM14 2v12L5 8z", () => goTo(FIRST_EPOCH)), button("Previous epoch", "M12 2v12L3 8z", by(-1)), player,
    button("Next epoch", "M4 2v12l9-6z", by(1)), button("Last epoch", "M12 2h2v12h-2zM2 2v12l9-6z", () => goTo(LAST_EPOCH)));
  const keys = element("p", { class: "keys" }, ..."← → epoch, Shift ← → snapshot, Space plays".split(/(←|→|Shift|Space)/).map((word, k) => (k % 2 ? element("kbd", {}, word) : word)));
  return { element: element("div", { class: "controls" }, buttons, slider, status, keys), tell, again: () => show(epoch) };
}

/** While the training is in view its keys work wherever the focus is; fields, sliders and buttons keep their own. */
function listenToEpochKeys(actions) {
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (find("training").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    const slider = target.matches('input[type="range"]');
    if ((target.matches("input, select, textarea") && !(slider && (key === " " || event.shiftKey))) || (target.matches("button") && key === " ")) return;
    const action = actions[event.shiftKey && key !== " " ? `Shift ${key}` : key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function plotBox(title, note, ...content) {
  return element("div", { class: "plot" }, element("div", { class: "head" }, element("h2", {}, title), ...note), ...content);
}

// -- the loss -------------------------------------------------------------------------------------------------------

function lossPlot({ epochs, values }) {
  const texts = values.split(" ");
  const points = texts.map((text, k) => [epochs ? epochs[k] : FIRST_EPOCH + k, Number(text)]);
  const at = points.map(([epoch]) => epoch);
  const finite = points.map(([, value]) => value).filter(Number.isFinite);
  const positive = finite.filter((value) => value > 0);
  let log = false;
  const range = () => (log ? [Math.min(...positive), Math.max(...positive)] : [Math.min(0, ...finite), Math.max(0, ...finite)]);
  const plot = plotOf("the loss, epoch by epoch", (width, height) => {
    const [low, high] = range();
    const { to, parts } = axes(width, height, EPOCHS, { range: [low, high > low ? high : low + (low || 1)], title: "loss", log });
    const place = ([k, value]) => (Number.isFinite(value) && (!log || value > 0) ? [to.x(k), to.y(value)] : null);
    const moving = (epoch) => {
      const here = place(points[lastUpTo(at, epoch)]);
      return [cursor(to, epoch), ...(here ? [drawn("circle", { class: "here", r: 5, cx: here[0], cy: here[1] })] : [])];
    };
    return { below: [...parts, drawn("path", { class: "losses", d: pathThrough(points.map(place)) })], moving };
  });
  const toggle = element("button", { class: "toggle", "aria-pressed": "false", disabled: !positive.length, click: () => {
    log = !log;
    toggle.setAttribute("aria-pressed", String(log));
    missing.hidden = !log || positive.length === finite.length;
    plot.redraw();
  } }, "Log scale");
  const missing = element("p", { class: "small", hidden: true }, "a loss of 0 or below has no place on a log scale");
  return {
    element: plotBox("Loss", [element("p", { class: "small" }, `epochs ${written(FIRST_EPOCH)} to ${written(LAST_EPOCH)}`), missing, toggle], plot.element),
    known: (epoch) => {
      const k = lastUpTo(at, epoch);
      return { epoch: at[k], text: texts[k] };
    },
    show: plot.show,
  };
}

const cursor = (to, epoch) => drawn("path", { class: "cursor", d: `M${to.x(epoch)},${to.top}V${to.bottom}` });

// -- the parameters -------------------------------------------------------------------------------------------------

const LINES = 12; // elements of a parameter that are drawn as lines

function parametersPlot(parameters) {
  const parts = parameters.map((parameter) => (parameter.numbers ? smallParameter(parameter) : largeParameter(parameter)));
  const note = parameters.some(({ map }) => map) ? [element("p", { class: "small" }, "the colours of a heat map mean the same at every epoch")] : [];
  const box = plotBox("Parameters", note, element("div", { class: "parameters" }, ...parts.map((part) => part.element)));
  return { element: box, show: (k) => parts.forEach((part) => part.show(k)) };
}

/** Its name in the equations and in the model, and its shape. */
function parameterBox({ path, shape }, ...content) {
  const node = DATA.nodes.find(({ kind, name }) => kind === "parameter" && name === path);
  const symbol = node && isSymbol(node.label) ? [element("span", { class: "symbol" }, ...typeset(node.label)), " "] : [];
  const words = shape.length > 1 ? shape.join(" × ") : shape.length ? `${shape[0]}` : "a number";
  return element("section", { class: "parameter" }, element("h3", {}, ...symbol, path, element("span", { class: "shape" }, words)), ...content);
}

/** Few numbers: a table at the epoch, and lines over the epochs. */
function smallParameter(parameter) {
  const { numbers, columns } = parameter;
  const rows = numbers.map((text) => text.split(" ").filter(Boolean));
  const table = element("div", { class: rows[0].length === columns ? "value numbers row" : "value numbers" });
  const lines = rows[0].length && rows[0].length <= LINES && SNAPSHOTS.length > 1 ? parameterLines(parameter, rows.map((row) => row.map(Number))) : null;
  const show = (k) => {
    table.replaceChildren(numberTable(Array.from({ length: rows[k].length / columns }, (_, r) => rows[k].slice(r * columns, (r + 1) * columns))));
    lines?.show(k);
  };
  return { element: parameterBox(parameter, table, ...(lines ? [lines.element] : [])), show };
}

function parameterLines({ path, columns, shape }, rows) {
  const index = (j) => (shape.length > 1 ? `[${Math.floor(j / columns)}, ${j % columns}]` : `[${j}]`);
  const names = rows[0].length > 1 ? rows[0].map((_, j) => index(j)) : [];
  const known = rows.flat().filter(Number.isFinite);
  const [low, high] = [Math.min(0, ...known), Math.max(0, ...known)];
  const plot = plotOf(`${path} over the epochs`, (width, height) => {
    const room = 10 + TEXT * Math.max(0, ...names.map((name) => name.length));
    const { to, parts } = axes(width, height, EPOCHS, { range: [low, high > low ? high : low + 1], title: "value" }, room);
    const place = (j) => (row, s) => (Number.isFinite(row[j]) ? [to.x(SNAPSHOTS[s]), to.y(row[j])] : null);
    const ends = names.map((_, j) => to.y(Number.isFinite(rows.at(-1)[j]) ? rows.at(-1)[j] : 0));
    const labels = labelPlaces(ends, to.top + 4, to.bottom);
    const dot = (value, k) => drawn("circle", { class: "dot", r: 3.5, cx: to.x(SNAPSHOTS[k]), cy: to.y(value) });
    return {
      below: [
        ...parts,
        ...rows[0].map((_, j) => drawn("path", { class: "line", d: pathThrough(rows.map(place(j))) })),
        ...names.map((name, j) => drawn("text", { class: "name", x: to.right + 6, y: labels[j] + 4 }, name)),
      ],
      moving: (k) => [cursor(to, SNAPSHOTS[k]), ...rows[k].filter(Number.isFinite).map((value) => dot(value, k))],
    };
  });
  plot.element.style.height = `${Math.max(150, 80 + 13 * names.length)}px`; // room for a name beside each line
  return plot;
}

/** Many numbers: a heat map at the epoch, with its scale. */
function largeParameter(parameter) {
  const { map, short, shape, columns } = parameter;
  const high = shape.reduce((a, b) => a * b, 1) / columns;
  const [down, across] = [Math.ceil(high / map.rows), Math.ceil(columns / map.columns)];
  const averaged = down * across > 1 ? `; a cell is the mean of up to ${shape.length > 1 ? `${down} × ` : ""}${across}` : "";
  const holder = element("div", { class: "map" });
  const words = element("p", { class: "small" });
  const ramp = btoa(String.fromCharCode(...Array.from({ length: 65 }, (_, k) => Math.round(1 + (254 * k) / 64))));
  const legend = scaleBar("", [`−${map.largest}`, "0", `+${map.largest}`], () => heatMap({ map: { rows: 1, columns: 65, cells: ramp } }, "value"));
  const show = (k) => {
    const canvas = heatMap({ map: { ...map, cells: map.cells[k] } }, "value");
    for (const [name, text] of [["role", "img"], ["aria-label", `heat map of ${parameter.path}; ${short[k]}`]]) canvas.setAttribute(name, text);
    canvas.style.aspectRatio = `${map.columns} / ${map.rows}`;
    holder.replaceChildren(canvas);
    words.textContent = short[k] + averaged;
  };
  return { element: parameterBox(parameter, holder, legend, words), show };
}

// -- the output of the network --------------------------------------------------------------------------------------

const OUTPUT = { class: "probability of each class", probability: "probability of class 1", number: "output" };

function outputPlot(decision) {
  const { ranges, classes, outputs, kind } = decision;
  const { plot, bar, notes } = ranges.length === 1 ? curvePlot(decision) : regionPlot(decision);
  const more = outputs > 1 && kind !== "class" && ranges.length === 2 ? [`output 0 of ${outputs}`] : [];
  const note = element("p", { class: "small" }, [...notes, ...more].join("; "));
  return { element: plotBox("Output of the network", [note, ...(classes ? [classLegend(classes)] : []), ...bar], plot.element), show: plot.show };
}

/** One feature: a curve for each output, with the data. */
function curvePlot({ ranges: [xs], low, high, points, curves, classes, kind, outputs }) {
  const pad = 0.06 * (high - low);
  const codes = curves.map((lines) => lines.map((text) => [...new Uint16Array(bytes(text).buffer)]));
  const names = outputs > 1 ? curves[0].map((_, j) => (kind === "class" ? `class ${j}` : `[${j}]`)) : [];
  const halfway = kind === "probability" && classes;
  const plot = plotOf("the output of the network over its input, with the data", (width, height) => {
    const room = names.length ? 10 + TEXT * Math.max(...names.map((name) => name.length)) : 0;
    const { to, parts } = axes(width, height, { range: xs, title: "input x" }, { range: [low - pad, high + pad], title: OUTPUT[kind] }, room);
    const place = (code, i, { length }) => (code ? [to.x(xs[0] + (i / (length - 1)) * (xs[1] - xs[0])), to.y(low + (high - low) * ((3 * (code - 1)) / 65534 - 1))] : null);
    const clip = drawn("clipPath", { id: "frame" }, drawn("rect", { x: to.left, y: to.top, width: Math.max(0, to.right - to.left), height: Math.max(0, to.bottom - to.top) }));
    const moving = (k) => {
      const lines = codes[k].map((line) => line.map(place));
      const labels = labelPlaces(lines.map((line) => Math.min(to.bottom, Math.max(to.top, line.at(-1)?.[1] ?? to.bottom))), to.top + 4, to.bottom);
      const colour = (j) => (kind === "class" ? `stroke: var(${classColour(j)})` : null);
      return [
        drawn("g", { "clip-path": "url(#frame)" }, ...lines.map((line, j) => drawn("path", { class: "curve", d: pathThrough(line), style: colour(j) }))),
        ...names.map((name, j) => drawn("text", { class: "name", x: to.right + 6, y: labels[j] + 4 }, name)),
      ];
    };
    return {
      below: [...parts, clip, ...(halfway ? [drawn("path", { class: "half", d: `M${to.left},${to.y(0.5)}H${to.right}` })] : [])],
      moving,
      above: points.map(([x, y]) => marker(to.x(x), to.y(kind === "class" ? 1 : y), classes ? classShape(y) : SHAPES[0], classes ? `var(${classColour(y)})` : "var(--ramp)")),
    };
  });
  return { plot, bar: [], notes: ["the curve is the network, the marks are the data", ...(halfway ? ["above the dotted line it predicts class 1"] : [])] };
}

/** Two features: the output as colour, with the data. */
function regionPlot(decision) {
  const { ranges, side, points, classes, low, high, kind } = decision;
  const strength = (y) => Math.round(100 * Math.min(1, RAMP.least + (1 - RAMP.least) * ((y - low) / (high - low))));
  const fill = (y) => (classes ? `var(${classColour(y)})` : `color-mix(in srgb, var(--ramp) ${strength(y)}%, var(--card))`);
  const plot = plotOf("the output of the network over its two inputs, with the data", (width, height) => {
    const { to, parts } = axes(width, height, { range: ranges[0], title: "input x[:, 0]" }, { range: ranges[1], title: "input x[:, 1]" });
    const place = { x: to.left, y: to.top, width: Math.max(0, to.right - to.left), height: Math.max(0, to.bottom - to.top), preserveAspectRatio: "none" };
    return {
      below: parts,
      moving: (k) => [drawn("image", { ...place, class: "regions", href: painted(side, side, regionColour(decision, k)).toDataURL() })],
      above: points.map(([x, z, y]) => marker(to.x(x), to.y(z), classes ? classShape(y) : SHAPES[0], fill(y))),
    };
  });
  if (kind === "class") return { plot, bar: [], notes: ["the area has the colour of the most likely class, stronger where the network is more certain; the marks are the data"] };
  const bar = scaleBar(OUTPUT[kind], [low, (low + high) / 2, high].map((end) => written(Number(end.toPrecision(3)))), () => {
    const colour = outputColour(decision);
    return painted(65, 1, (k) => colour(k / 64));
  });
  return { plot, bar: [bar], notes: ["the area is the network, the marks are the data"] };
}

const RAMP = { least: 0.06, classes: 0.45 };

/** The colour of an output by its share of the range shown: from class 0 through paper to class 1, or ever stronger. */
function outputColour({ classes, low, high }) {
  const [paper, zero, one, ramp] = ["--card", "--class-0", "--class-1", "--ramp"].map(colourOf);
  if (!classes) return (share) => mixed(paper, ramp, RAMP.least + (1 - RAMP.least) * share);
  return (share) => {
    const side = 2 * Math.min(1, Math.max(0, low + share * (high - low))) - 1;
    return mixed(paper, side < 0 ? zero : one, RAMP.classes * Math.abs(side));
  };
}

/** The colour of a cell, counted from the top: of its output, or of the most likely class, stronger where that is more certain. */
function regionColour(decision, k) {
  const { side, levels, winners, kind, classes } = decision;
  const level = bytes(levels[k]);
  const share = (cell) => (level[cell] - 1) / 254;
  const colour = outputColour(decision);
  let colourOfCell = (cell) => colour(share(cell));
  if (kind === "class") {
    const winner = bytes(winners[k]);
    const paper = colourOf("--card");
    const ends = SHAPES.map((_, j) => colourOf(classColour(j)));
    colourOfCell = (cell) => mixed(paper, ends[classNumber(winner[cell])], 0.12 + RAMP.classes * Math.max(0, (share(cell) - 1 / classes) / (1 - 1 / classes)));
  }
  const hole = colourOf("--quiet");
  return (place) => {
    const cell = (side - 1 - Math.floor(place / side)) * side + (place % side);
    return level[cell] ? colourOfCell(cell) : hole;
  };
}
