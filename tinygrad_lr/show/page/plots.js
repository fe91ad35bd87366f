// Plots, drawn in the page's own pixels: a plot is drawn again when its size changes, so that its text stays readable.

const TEXT = 7; // pixels, about the width of a digit

/**
 * A plot. draw(width, height) returns { below, moving, above }: fixed elements, and between them a function that returns
 * those for what is shown. show(what) changes what is shown; redraw() starts over, as does a change of size.
 */
function plotOf(label, draw) {
  const svg = drawn("svg", { role: "img", "aria-label": label });
  const group = drawn("g");
  let shown = null;
  let drawing = null;
  const move = () => drawing && shown !== null && group.replaceChildren(...drawing.moving(shown));
  const redraw = () => {
    const { width, height } = svg.getBoundingClientRect();
    if (!width || !height) return;
    drawing = draw(width, height);
    svg.replaceChildren(...drawing.below, group, ...(drawing.above ?? []));
    move();
  };
  new ResizeObserver(redraw).observe(svg);
  return {
    element: svg,
    redraw,
    show(what) {
      shown = what;
      move();
    },
  };
}

// -- axes ---------------------------------------------------------------------------------------------------------

/** A number as people write it: 2,500, −0.25, 1e−7. */
function written(number) {
  const size = Math.abs(number);
  if (Number.isInteger(number) && size < 1e9) return number.toLocaleString("en").replaceAll("-", "−"); // an epoch, to the last digit
  const text = size && (size >= 1e7 || size < 1e-4) ? Number(number.toPrecision(6)).toExponential().replace("e+", "e") : Number(number.toPrecision(6)).toLocaleString("en", { maximumFractionDigits: 10 });
  return text.replaceAll("-", "−");
}

/** Round numbers from low to high, about `most` of them and not below two: steps of 1, 2 or 5 times a power of ten, at least `least`. */
function ticksOf([low, high], most, least = 0) {
  if (!(high > low && Number.isFinite(high - low))) return [low];
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(least, power * [1, 2, 5, 10].find((k) => k * power >= rough * (1 - 1e-9)));
  const first = Math.ceil(low / step - 1e-9);
  const ticks = Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, k) => Number(((first + k) * step).toPrecision(12)) || 0);
  return ticks.length > 1 || step === least ? ticks : ticksOf([low, high], 2 * most, least);
}

/** Ticks of a logarithmic axis: powers of ten where there are enough of them, else 1, 2, 5 between them, else round numbers. */
function logTicks([low, high], most) {
  const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const inside = (tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9);
  const powers = ticksOf([from, to], Math.max(most, 2), 1).map((k) => Number(`1e${k}`)).filter(inside);
  if (powers.length >= 3) return powers;
  const between = [];
  for (let k = from; k <= to; k++) between.push(...[1, 2, 5].map((m) => Number(`${m}e${k}`)));
  const finer = between.filter(inside);
  return finer.length >= 3 ? finer : ticksOf([low, high], most).filter((tick) => tick > 0);
}

/**
 * The axes of a plot: { range, title, log?, whole? } for x and y, and room on the right for labels.
 * Returns the scales and the elements.
 */
function axes(width, height, x, y, right = 0) {
  const ticks = (axis, most) => (axis.log ? logTicks(axis.range, most) : ticksOf(axis.range, most, axis.whole ? 1 : 0));
  const [top, bottom] = [24, height - 38];
  const ys = ticks(y, Math.min(11, Math.max(2, (bottom - top) / 34))).map((tick) => [tick, written(tick)]);
  const left = 12 + TEXT * Math.max(2, ...ys.map(([, text]) => text.length));
  const longest = Math.max(...ticks(x, 5).map((tick) => written(tick).length));
  const end = width - Math.max(right, 6 + (TEXT * longest) / 2);
  const xs = ticks(x, Math.max(2, (end - left) / (TEXT * longest + 28))).map((tick) => [tick, written(tick)]);
  const scale = ({ range: [low, high], log }, from, to) => {
    const at = log ? Math.log10 : (value) => value;
    return (value) => from + ((at(value) - at(low)) / (at(high) - at(low) || 1)) * (to - from);
  };
  const to = { x: scale(x, left, end), y: scale(y, bottom, top), left, right: end, top, bottom };
  const text = (at, across, down, anchor, words) => drawn("text", { class: at, x: across, y: down, "text-anchor": anchor }, words);
  const parts = [
    ...ys.map(([tick]) => drawn("path", { class: "grid", d: `M${left},${to.y(tick)}H${end}` })),
    drawn("path", { class: "axis", d: `M${left},${top}V${bottom}H${end}${xs.map(([tick]) => `M${to.x(tick)},${bottom}v5`).join("")}` }),
    ...ys.map(([tick, words]) => text("tick", left - 6, to.y(tick) + 4, "end", words)),
    ...xs.map(([tick, words]) => text("tick", to.x(tick), bottom + 17, "middle", words)),
    text("title", 2, 12, "start", y.title),
    text("title", (left + end) / 2, height - 5, "middle", x.title),
  ];
  return { to, parts };
}

/** A line through points; one that is null breaks it. */
function pathThrough(points) {
  let pen = "M";
  return points.map((point) => {
    const piece = point ? `${pen}${point[0].toFixed(1)},${point[1].toFixed(1)}` : "";
    pen = point ? "L" : "M";
    return piece;
  }).join("");
}

/** Heights for labels beside the ends of lines, as near to them as 13 pixels between two allow. */
function labelPlaces(heights, top, bottom) {
  const gap = Math.min(13, (bottom - top) / Math.max(1, heights.length - 1));
  const order = heights.map((_, k) => k).sort((a, b) => heights[a] - heights[b]);
  const placed = [];
  for (const k of order) placed.push(Math.max(heights[k], placed.length ? placed.at(-1) + gap : top));
  for (let k = placed.length - 1, limit = bottom; k >= 0; k--, limit = placed[k + 1] - gap) placed[k] = Math.min(placed[k], limit);
  const found = [];
  order.forEach((k, place) => (found[k] = placed[place]));
  return found;
}

// -- classes ------------------------------------------------------------------------------------------------------

// Each class has a colour and a shape of its own; of more than six, the pairs differ.
const SHAPES = ["M-1,0a1,1 0 1,0 2,0a1,1 0 1,0 -2,0z", "M-.9,-.9H.9V.9H-.9z", "M0,-1.2L1.1,.8H-1.1z", "M0,-1.3L1.3,0L0,1.3L-1.3,0z", "M-.4,-1.15H.4V-.4H1.15V.4H.4V1.15H-.4V.4H-1.15V-.4H-.4z", "M0,1.2L1.1,-.8H-1.1z"];
const classNumber = (k) => Math.round(k) % SHAPES.length;
const classColour = (k) => `--class-${classNumber(k)}`;
const classShape = (k) => SHAPES[(Math.round(k) + Math.floor(k / SHAPES.length)) % SHAPES.length];

/** The mark of a sample. */
const marker = (x, y, shape, fill) => drawn("path", { class: "point", d: shape, transform: `translate(${x.toFixed(1)},${y.toFixed(1)}) scale(6)`, style: `fill: ${fill}` });

/** Which colour and shape stand for which class. */
function classLegend(classes) {
  const sign = (k) => drawn("svg", { viewBox: "-9 -9 18 18", "aria-hidden": "true" }, marker(0, 0, classShape(k), `var(${classColour(k)})`));
  return element("ul", { class: "classes", "aria-label": "Classes" }, ...Array.from({ length: classes }, (_, k) => element("li", {}, sign(k), `class ${k}`)));
}

const BARS = []; // functions that repaint the bars in the colours of the theme

/** A bar of colours with the numbers below it; paint() returns the bar as a canvas. */
function scaleBar(title, texts, paint) {
  const holder = element("div", { class: "bar" });
  const numbers = element("div", { class: "ends" }, ...texts.map((text) => element("span", {}, text)));
  BARS.push(() => holder.replaceChildren(paint()));
  return element("div", { class: "scale" }, ...(title ? [element("span", {}, title)] : []), element("div", {}, holder, numbers));
}
