// The page as a whole: theme, tabs, search, buttons and keys.

const dark = matchMedia("(prefers-color-scheme: dark)");
let showTraining = null;

const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  find("theme").setAttribute("aria-pressed", String(isDark()));
  drawGraph(); // heat maps are painted in the theme's colours
  paintStep();
  if (chosen) refreshPanel();
  showTraining?.();
}

// -- search -------------------------------------------------------------------------------------------------------

let matches = [];
let match = -1;

function search() {
  const words = find("search").value.trim().toLowerCase();
  const text = (node) => [node.label, node.name, node.op, node.kind, ...around(node.cluster).map(titleOf)].join(" ").toLowerCase();
  matches = words ? [...nodes.values()].filter((node) => text(node).includes(words)) : [];
  match = -1;
  find("found").textContent = words ? `${matches.length} found` : "";
  markMatches();
}

function markMatches() {
  const marked = new Set(matches.map(shownAs));
  for (const card of view.cards.values()) card.group.classList.toggle("match", marked.has(card.id));
}

function nextMatch(by) {
  if (!matches.length) return;
  match = (match + by + matches.length) % matches.length;
  const node = matches[match];
  reveal(node);
  markMatches();
  find("found").textContent = `${match + 1} of ${matches.length}`;
  const card = view.cards.get(shownAs(node));
  stopAt(card.group);
  lookAt([card]);
  for (const other of view.cards.values()) other.group.classList.toggle("chosen", other === card);
}

// -- tabs -----------------------------------------------------------------------------------------------------------

function choose(tab) {
  for (const name of ["pass", "training"]) {
    const selected = name === tab;
    find(name).hidden = !selected;
    find(`tab-${name}`).setAttribute("aria-selected", String(selected));
    find(`tab-${name}`).tabIndex = selected ? 0 : -1;
  }
  play(false);
  if (tab === "training") showTraining();
  else tellStep();
}

function setUpTraining() {
  document.querySelector(".tabs").hidden = false;
  for (const name of ["pass", "training"]) {
    find(name).setAttribute("role", "tabpanel");
    find(name).setAttribute("aria-labelledby", `tab-${name}`);
    find(name).removeAttribute("aria-label");
    find(`tab-${name}`).addEventListener("click", (event) => {
      choose(name);
      if (event.detail) find(`tab-${name}`).blur(); // chosen by pointer: the next key is meant for the view, not for the tabs
    });
  }
  document.querySelector(".tabs").addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    choose(find("pass").hidden ? "pass" : "training");
    document.querySelector('.tabs [aria-selected="true"]').focus();
    event.stopPropagation();
  });
  showTraining = buildTraining();
}

// -- keys -------------------------------------------------------------------------------------------------------------

const KEYS = {
  ArrowRight: () => walk(1),
  ArrowLeft: () => walk(-1),
  ArrowDown: () => moveFocus(1),
  ArrowUp: () => moveFocus(-1),
  Home: () => goTo(0),
  End: () => goTo(LAST),
  "+": () => zoomBy(1.25),
  "-": () => zoomBy(0.8),
  0: fitAll,
  "/": () => find("search").focus(),
  " ": () => play(!playing),
  PageDown: () => scrollPage(1),
  PageUp: () => scrollPage(-1),
};

const scrollPage = (by) => document.querySelector("main").scrollBy({ top: by * 0.7 * innerHeight, behavior: calm() ? "auto" : "smooth" });

// -- links: #step=9 -------------------------------------------------------------------------------------------------

const LINKED = 400; // milliseconds after a step that the address follows, because browsers refuse many changes in a row
let linking = null;

/** The step that the address names, or null. */
function linkedStep() {
  const step = /^#step=(\d+)$/.exec(location.hash);
  return step && Number(step[1]);
}

function followLink() {
  const step = linkedStep();
  if (step === null) return;
  if (find("pass").hidden) choose("pass");
  play(false);
  goTo(step);
}

/** Put the step into the address, where the page has one. */
function writeLink() {
  clearTimeout(linking);
  linking = setTimeout(() => linkedStep() !== now && /^(https?|file):$/.test(location.protocol) && history.replaceState(null, "", `#step=${now}`), LINKED);
}

function pressed(event) {
  const { key, target } = event;
  if (key === "Escape" && !find("tip").hidden) return showTip(false);
  if (key === "Escape") return closePanel();
  if (event.ctrlKey || event.metaKey || event.altKey || find("pass").hidden || target.matches("input")) return;
  const inGraph = find("graph").contains(target);
  if (inGraph && (key === "Enter" || key === " ")) {
    target.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    return event.preventDefault();
  }
  if (target.matches("button") && (key === " " || key === "Enter")) return;
  if (find("panel").contains(target) && ["ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"].includes(key)) return;
  if (!Object.hasOwn(KEYS, key)) return;
  event.preventDefault();
  KEYS[key]();
}

function start() {
  const on = (id, action) => find(id).addEventListener("click", action);
  on("first", () => goTo(0));
  on("back", () => walk(-1));
  on("forward", () => walk(1));
  on("last", () => goTo(LAST));
  on("play", () => play(!playing));
  on("closer", () => zoomBy(1.25));
  on("farther", () => zoomBy(0.8));
  on("fit", fitAll);
  on("fold", foldAll);
  on("more", () => scrollPage(1));
  on("theme", () => setTheme(isDark() ? "light" : "dark"));
  find("steps").max = LAST;
  find("steps").style.setProperty("--turn", `${(100 * TURN) / LAST}%`);
  find("steps").addEventListener("input", () => goTo(Number(find("steps").value)));
  find("search").addEventListener("input", search);
  find("search").addEventListener("keydown", (event) => event.key === "Enter" && nextMatch(event.shiftKey ? -1 : 1));
  document.addEventListener("keydown", pressed);
  dark.addEventListener("change", () => setTheme());
  addEventListener("hashchange", followLink);
  addEventListener("resize", tellStep);
  document.querySelector("main").addEventListener("scroll", sayMore);
  listenToTag();
  listenToPointers();
  foldAtFirst();
  nameFoldButton();
  if (DATA.training) setUpTraining();
  setTheme();
  goTo(0);
  showBeginning();
  followLink();
}

start();
