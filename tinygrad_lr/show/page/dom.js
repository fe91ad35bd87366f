"use strict";
// Making elements, typesetting formulas, and numbers as colours. All texts enter the document as text nodes.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const find = (id) => document.getElementById(id);

/** An HTML element; functions among the attributes are event listeners. */
function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element. */
function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// -- formulas -----------------------------------------------------------------------------------------------

const TOKENS = /(dL\/d|∂L\/∂)(?:([A-Za-z])(\d*)(?!\w))?|(?:delta|δ)(\d+)|(?<![\w.])([A-Za-z])(\d*)(?!\w)|(\^T|ᵀ)|\^(\d+)|(['′])(?=\()|( \* )|(<-)|(?<![^\s([])-(?=[\s\d(a-z])/g;

/** A formula as pieces [text, style]: variables in italics, numbers behind them as subscripts. */
function pieces(text) {
  const found = [];
  let end = 0;
  for (const match of text.matchAll(TOKENS)) {
    if (match.index > end) found.push([text.slice(end, match.index), ""]);
    end = match.index + match[0].length;
    const [, slope, by, its, delta, letter, index, transposed, power, prime, product, arrow] = match;
    const variable = (name, below) => found.push([name, "variable"], ...(below ? [[below, "sub"]] : []));
    if (slope) found.push(["∂", ""], ["L", "variable"], ["/∂", ""]);
    if (slope && by) variable(by, its);
    if (slope) continue;
    if (delta) variable("δ", delta);
    else if (letter) variable(letter, index);
    else if (transposed) found.push(["T", "sup"]);
    else if (power) found.push([power, "sup"]);
    else found.push([prime ? "′" : product ? " ⊙ " : arrow ? "←" : "−", ""]);
  }
  if (end < text.length) found.push([text.slice(end), ""]);
  return found;
}

/** A formula as HTML; its left side can be coloured. */
function typeset(text) {
  const parts = pieces(text).map(([piece, style]) => (style ? element(style === "variable" ? "i" : style, {}, piece) : piece));
  const equals = parts.findIndex((part) => typeof part === "string" && part.startsWith(" = "));
  return equals < 0 ? parts : [element("span", { class: "left" }, ...parts.slice(0, equals)), ...parts.slice(equals)];
}

/** A symbol inside a drawing. */
function typesetInDrawing(text) {
  let raised = 0;
  return pieces(text).map(([piece, style]) => {
    const shift = style === "sub" ? 4 : style === "sup" ? -6 : 0;
    const span = drawn("tspan", { class: style || null, dy: shift - raised || null, "font-size": shift ? "70%" : null }, piece);
    raised = shift;
    return span;
  });
}

const isSymbol = (text) => /^[A-Za-z]\d*(\[[^\]]*\])?$/.test(text);

/** A user's name as it is, a symbol of the equations typeset. */
const named = (text) => (isSymbol(text) ? typeset(text) : [text]);

/** A sentence, with the symbols in it typeset. */
const sentenceOf = (text) => text.split(/(\bdelta\d+|dL\/d[A-Za-z]\d*|\b[abwz]\d+\b)/).flatMap((part, k) => (k % 2 ? typeset(part) : [part]));

const shortened = (text, most) => ([...text].length > most ? [...text].slice(0, most - 1).join("") + "…" : text);

// -- numbers --------------------------------------------------------------------------------------------------

/** The class and the share that colour a number: its sign, and its magnitude relative to the largest. */
function tone(text, largest) {
  const number = Number(text);
  const share = largest > 0 && Number.isFinite(number) ? Math.abs(number) / largest : 0;
  return { class: number < 0 ? "minus" : "plus", style: `--share: ${Math.round(6 + 38 * share)}%` };
}

const largestIn = (table) => Math.max(0, ...table.flat().map((text) => Math.abs(Number(text))).filter(Number.isFinite));

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** The colour that a custom property holds, as [red, green, blue]. */
function colourOf(property) {
  const probe = element("span", { style: `color: var(${property})` });
  document.body.append(probe);
  const pen = element("canvas", { width: 1, height: 1 }).getContext("2d");
  pen.fillStyle = getComputedStyle(probe).color;
  probe.remove();
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

/** A grid of colours, one pixel per cell. */
function painted(columns, rows, colour) {
  const canvas = element("canvas", { width: columns, height: rows });
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(columns, rows);
  for (let k = 0; k < columns * rows; k++) image.data.set([...colour(k), 255], 4 * k);
  pen.putImageData(image, 0, 0);
  return canvas;
}

const mixed = (a, b, share) => a.map((channel, k) => Math.round(channel + (b[k] - channel) * share));

const MARKED = 7; // pixels along each side of a cell that carries the sign of its number

/** The heat map of an array: a stronger colour is a larger number, and negative numbers have another colour; marked, they carry a minus sign too. */
function heatMap(numbers, kind, marked = false) {
  const [zero, plus, minus, hole, ink] = ["--card", `--${kind}`, `--${kind}-negative`, "--quiet", "--ink"].map(colourOf);
  const [rows, columns] = numbers.map ? [numbers.map.rows, numbers.map.columns] : [numbers.table.length, numbers.table[0].length];
  const largest = numbers.map ? 127 : largestIn(numbers.table) || 1;
  const flat = numbers.map ? [...bytes(numbers.map.cells)].map((cell) => (cell ? cell - 128 : NaN)) : numbers.table.flat().map(Number);
  const colour = (k) => (Number.isFinite(flat[k]) ? mixed(zero, flat[k] < 0 ? minus : plus, Math.abs(flat[k]) / largest) : hole);
  if (!marked) return painted(columns, rows, colour);
  const wide = columns * MARKED;
  return painted(wide, rows * MARKED, (k) => {
    const [x, y] = [k % wide, Math.floor(k / wide)];
    const cell = Math.floor(y / MARKED) * columns + Math.floor(x / MARKED);
    const dash = flat[cell] < 0 && y % MARKED === 3 && x % MARKED > 1 && x % MARKED < 5;
    return dash ? mixed(colour(cell), ink, 0.75) : colour(cell);
  });
}
