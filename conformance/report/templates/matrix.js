// Filters, the matrix, the causes, and the panel of cases. What loaders and files
// say only ever becomes the text of an element, and never markup.
"use strict";

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const VERDICTS = data.verdicts.map(([name, sign, shows, silent], number) => (
  { name, sign, shows, silent, number }));
const PASS = 0, SKIP = 1;
const NAMES = VERDICTS.map((verdict) => verdict.name);
const cases = data.cases.map(
  ([directory, name, path, file, asks, shows, containers = [], flags = [], links = []], number) => ({
    number, name, file, asks, shows, containers, flags, links,
    directory: data.directories[directory], path: data.paths[path],
    id: `${data.directories[directory]}/${name}`,
  }));
const loaders = data.loaders.map((loader, number) => ({ ...loader, number }));

/** The number of a verdict; negative if this loader was not asked this case. */
const verdictOf = (loader, number) => loader.verdicts.charCodeAt(number) - 48;

// ------------------------------------------------------------------- small things

function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "click") element.addEventListener("click", value);
    else if (name.startsWith("aria-")) element.setAttribute(name, String(value));
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false && child !== ""));
  return element;
}

const many = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

/** A path with its module less loud than its name. */
function named(path) {
  const cut = path.search(/[^.:]*$/);
  return [h("span", { class: "module dim" }, path.slice(0, cut)), path.slice(cut)];
}

const tag = (verdict) =>
  h("span", { class: `tag v-${verdict.name}${verdict.silent ? " silent" : ""}` }, `${verdict.sign} ${verdict.name}`);

// -------------------------------------------------------------------------- state

const FIELDS = ["container", "asks", "flag", "order", "text"];
const empty = () => ({
  loaders: new Set(), verdicts: new Set(), all: false, toggled: new Set(),
  ...Object.fromEntries(FIELDS.map((name) => [name, ""])),
});
let state = empty();
let panel = null;

function readAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  state = empty();
  for (const name of FIELDS) state[name] = address.get(name) ?? "";
  const known = (name, values) => new Set(address.getAll(name).filter((one) => values.includes(one)));
  state.loaders = known("loader", loaders.map((loader) => loader.id));
  state.verdicts = known("verdict", NAMES);
  state.all = address.has("all");
  panel = address.has("show") ? address.getAll("show") : null;
}

function writeAddress() {
  const address = new URLSearchParams();
  for (const id of state.loaders) address.append("loader", id);
  for (const name of state.verdicts) address.append("verdict", name);
  for (const name of FIELDS) if (state[name]) address.append(name, state[name]);
  if (state.all) address.append("all", "");
  // The event of its closing comes later than the closing.
  for (const part of $("panel").open ? panel : []) address.append("show", part);
  const text = address.toString();
  if (text !== location.hash.slice(1)) history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

const shownLoaders = () =>
  state.loaders.size ? loaders.filter((loader) => state.loaders.has(loader.id)) : loaders;
const wanted = (verdict) =>
  verdict >= 0 && (!state.verdicts.size || state.verdicts.has(NAMES[verdict]));

function selected() {
  const container = data.containers.indexOf(state.container);
  const flag = data.flags.indexOf(state.flag);
  const text = state.text.trim().toLowerCase();
  return cases.filter((one) =>
    (!state.container || one.containers.includes(container)) &&
    (!state.flag || one.flags.includes(flag)) &&
    (!state.asks || one.asks === state.asks) &&
    (!text || one.path.toLowerCase().includes(text) || one.id.toLowerCase().includes(text)));
}

// ------------------------------------------------------------------------- matrix

function tally(loader, group) {
  const counts = new Array(VERDICTS.length).fill(0);
  for (const one of group) {
    const verdict = verdictOf(loader, one.number);
    if (wanted(verdict)) counts[verdict] += 1;
  }
  return counts;
}

/** The verdict that a cell shows: the worst, and a skip only where nothing else is. */
function worst(counts) {
  const found = counts.findLastIndex((count) => count > 0);
  return found === SKIP && counts[PASS] ? PASS : found;
}

function cell(loader, counts, where, open) {
  const number = worst(counts);
  if (number < 0) return h("td");
  const verdict = VERDICTS[number];
  const total = counts.reduce((sum, count) => sum + count);
  const present = VERDICTS.filter((one) => counts[one.number]);
  const said = present.map((one) => `${counts[one.number]} ${one.name}`).reverse().join(", ");
  const mix = h("span", { class: "mix" });
  for (const one of present) {
    const piece = h("i", { class: `v-${one.name}` });
    piece.style.flexBasis = `${(100 * counts[one.number]) / total}%`;
    mix.append(piece);
  }
  const several = present.length > 1;
  return h("td", {}, h("button", {
    class: `cell v-${verdict.name}${verdict.silent ? " silent" : ""}`, type: "button", tabindex: -1,
    "aria-label": `${loader.id}, ${where}: ${said}`, title: said, click: open,
  },
  h("span", {}, h("b", {}, verdict.sign), ` ${counts[number].toLocaleString("en")}`,
    several && h("span", { class: "of" }, ` / ${total.toLocaleString("en")}`)),
  several && mix));
}

function grouped(list, key) {
  const groups = new Map();
  for (const one of list) {
    if (!groups.has(one[key])) groups.set(one[key], []);
    groups.get(one[key]).push(one);
  }
  return [...groups].map(([name, members]) => ({
    name, members, counts: shownLoaders().map((loader) => tally(loader, members)),
  })).filter((group) => group.counts.some((counts) => worst(counts) >= 0));
}

/** Silent failures weigh most, then other failures. */
function weight(group) {
  let silent = 0, failed = 0;
  for (const counts of group.counts) {
    for (const verdict of VERDICTS) {
      if (verdict.silent) silent += counts[verdict.number];
      else if (verdict.number > SKIP) failed += counts[verdict.number];
    }
  }
  return silent * 1e6 + failed;
}

function ordered(groups) {
  const compare = state.order === "worst"
    ? (a, b) => weight(b) - weight(a) || a.name.localeCompare(b.name)
    : (a, b) => a.name.localeCompare(b.name);
  return groups.sort(compare);
}

const isOpen = (directory) => (state.all || state.text !== "") !== state.toggled.has(directory);

function row(group, directory, path, head) {
  const line = h("tr", { class: path === null ? "directory" : "path", "data-key": JSON.stringify([directory, path]) }, head);
  shownLoaders().forEach((loader, place) => {
    const show = [loader.id, directory, ...(path === null ? [] : [path])];
    line.append(cell(loader, group.counts[place], path ?? directory, () => openPanel(show)));
  });
  return line;
}

function directoryRow(group) {
  const open = isOpen(group.name);
  const toggle = () => {
    if (!state.toggled.delete(group.name)) state.toggled.add(group.name);
    drawMatrix();
  };
  return row(group, group.name, null, h("th", { scope: "row" },
    h("button", { type: "button", tabindex: -1, "aria-expanded": open, click: toggle },
      h("span", { class: "twist", "aria-hidden": "true" }, "▸"),
      h("span", { class: "name" }, group.name),
      h("span", { class: "size" }, group.members.length.toLocaleString("en")))));
}

function pathRow(group, directory) {
  const show = () => openPanel(["", directory, group.name]);
  return row(group, directory, group.name, h("th", { scope: "row" },
    h("button", { type: "button", tabindex: -1, title: group.name, click: show },
      h("span", { class: "name" }, ...named(group.name)),
      h("span", { class: "size" }, group.members.length.toLocaleString("en")))));
}

function drawMatrix() {
  const grid = $("grid");
  const place = whereFocusIs(grid);
  const list = selected();
  const directories = ordered(grouped(list, "directory"));
  grid.tHead.replaceChildren(h("tr", {}, h("th", { scope: "col" }, "rebuild path"),
    ...shownLoaders().map((loader) =>
      h("th", { scope: "col" }, loader.id, h("span", { class: "version", title: loader.version }, loader.version)))));
  const lines = [];
  let shown = 0;
  for (const group of directories) {
    shown += group.members.length;
    lines.push(directoryRow(group));
    if (isOpen(group.name)) {
      for (const inner of ordered(grouped(group.members, "path"))) lines.push(pathRow(inner, group.name));
    }
  }
  if (!lines.length) {
    lines.push(h("tr", {}, h("td", { class: "empty", colspan: shownLoaders().length + 1 }, "Nothing matches these filters.")));
  }
  grid.tBodies[0].replaceChildren(...lines);
  const everything = directories.length > 0 && directories.every((group) => isOpen(group.name));
  $("unfold").textContent = everything ? "close all" : "open all";
  $("unfold").onclick = () => {
    state.all = !everything && !state.text;
    state.toggled = new Set(everything && state.text ? directories.map((group) => group.name) : []);
    draw();
  };
  $("count").textContent = `${many(shown, "case")} in ${many(directories.length, "director").replace(/director(s?)$/, (_, s) => (s ? "directories" : "directory"))}`;
  restoreFocus(grid, place);
}

// ------------------------------------------------- the matrix with the keyboard

function whereFocusIs(grid) {
  const held = document.activeElement?.closest?.("#grid td, #grid th");
  const current = held ?? grid.querySelector("[tabindex='0']")?.closest("td, th");
  return current && { key: current.parentNode.dataset.key, column: current.cellIndex, held: Boolean(held) };
}

function restoreFocus(grid, place) {
  const lines = [...grid.tBodies[0].rows];
  const line = place && lines.find((one) => one.dataset.key === place.key);
  const button = line?.cells[place.column]?.querySelector("button") ?? grid.tBodies[0].querySelector("button");
  if (!button) return;
  button.tabIndex = 0;
  if (place?.held) button.focus({ preventScroll: true });
}

function focusOn(button) {
  for (const other of $("grid").querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
  button.tabIndex = 0;
  button.focus();
}

$("grid").addEventListener("focusin", (event) => {
  if (event.target.tabIndex !== 0 && event.target.matches("button")) focusOn(event.target);
});

$("grid").addEventListener("keydown", (event) => {
  const held = event.target.closest("td, th");
  if (!held || event.altKey || event.metaKey) return;
  const lines = [...$("grid").tBodies[0].rows];
  const line = lines.indexOf(held.parentNode);
  const column = held.cellIndex;
  const button = (one) => one?.querySelector("button");
  const inRow = (from, step) => {
    for (let at = from; at >= 0 && at < lines[line].cells.length; at += step) {
      if (button(lines[line].cells[at])) return button(lines[line].cells[at]);
    }
    return null;
  };
  const inColumn = (from, step) => {
    for (let at = from; at >= 0 && at < lines.length; at += step) {
      if (button(lines[at].cells[column])) return button(lines[at].cells[column]);
    }
    return null;
  };
  const last = lines[line].cells.length - 1;
  const target = {
    ArrowRight: () => inRow(column + 1, 1),
    ArrowLeft: () => inRow(column - 1, -1),
    ArrowDown: () => inColumn(line + 1, 1),
    ArrowUp: () => inColumn(line - 1, -1),
    Home: () => (event.ctrlKey ? inColumn(0, 1) : inRow(0, 1)),
    End: () => (event.ctrlKey ? inColumn(lines.length - 1, -1) : inRow(last, -1)),
  }[event.key];
  if (!target) return;
  event.preventDefault();
  const found = target();
  if (found) focusOn(found);
});

// ------------------------------------------------------------------------- causes

const CAUSES = 40;
let causesShown = CAUSES;

function membersOf(cluster, list) {
  const loader = loaders[data.clusters[cluster][0]];
  return list.filter((one) => loader.details[one.number]?.[0] === cluster);
}

function drawCauses() {
  const list = selected();
  const members = new Map();
  for (const loader of shownLoaders()) {
    for (const one of list) {
      const cluster = loader.details[one.number]?.[0] ?? -1;
      if (cluster < 0 || !wanted(data.clusters[cluster][1])) continue;
      if (!members.has(cluster)) members.set(cluster, []);
      members.get(cluster).push(one);
    }
  }
  const found = [...members].map(([number, group]) => ({ number, group, verdict: VERDICTS[data.clusters[number][1]] }))
    .sort((a, b) => b.verdict.silent - a.verdict.silent || b.group.length - a.group.length || a.number - b.number);
  const lines = found.slice(0, causesShown).map(({ number, group, verdict }) => {
    const [loader, , cause, smallest, kind, link] = data.clusters[number];
    const show = () => openPanel(["cause", String(number)]);
    const paths = [...new Set(group.map((one) => one.path))];
    const example = group.find((one) => one.number === smallest) ?? group[0];
    return h("tr", { click: (event) => event.target.closest("a, button") || show() },
      h("td", {}, loaders[loader].id),
      h("td", {}, tag(verdict)),
      h("td", {}, group.length.toLocaleString("en")),
      h("td", {}, h("button", { class: "cause", type: "button", click: show }, data.texts[cause]),
        kind && h("span", { class: "dim kind" }, ` ${kind}`),
        link && [" ", h("a", { href: link, rel: "noreferrer" }, "reported")]),
      h("td", { title: paths.slice(0, 12).join("\n") }, String(paths.length)),
      h("td", {}, fileLink(example, example.id)));
  });
  if (!lines.length) lines.push(h("tr", {}, h("td", { class: "empty", colspan: 6 }, "No failures here.")));
  $("clusters").tBodies[0].replaceChildren(...lines);
  const more = found.length - causesShown;
  $("more-causes").hidden = more <= 0;
  $("more-causes").textContent = `show ${more.toLocaleString("en")} more`;
}

$("more-causes").addEventListener("click", () => { causesShown = Infinity; drawCauses(); });

// -------------------------------------------------------------------------- panel

function fileLink(one, text) {
  if (one.file === undefined) return h("span", {}, text);
  const folder = one.directory.split("/").map(encodeURIComponent).join("/");
  return h("a", { href: `${data.corpus}/${folder}/${one.file}`, download: true }, text);
}

/** What is shown: ["loader", directory, path], [loader, "verdict:" ...], a case, a cause. */
function meant(show) {
  const [first, second, third] = show;
  if (first === "cause") {
    const [loader, verdict, cause, , kind, link] = data.clusters[second] ?? [];
    if (loader === undefined) return null;
    const under = `${loaders[loader].id}: ${VERDICTS[verdict].shows}${kind ? ` (${kind})` : ""}`;
    return {
      title: data.texts[cause], under, link,
      loader: loaders[loader], list: membersOf(Number(second), selected()),
    };
  }
  const loader = loaders.find((one) => one.id === first) ?? null;
  if (second === "case") {
    const list = cases.filter((one) => one.id === third);
    return { title: third, under: loader?.id ?? "", loader, list };
  }
  if (second === "verdict") {
    const number = NAMES.indexOf(third);
    if (!loader || number < 0) return null;
    const list = cases.filter((one) => verdictOf(loader, one.number) === number);
    return { title: `${loader.id}: ${third}`, under: VERDICTS[number].shows, loader, list, whatever: true };
  }
  const list = selected().filter((one) => one.directory === second && (third === undefined || one.path === third));
  return { title: third ?? second, under: loader ? `${loader.id} ${loader.version}` : second, loader, list };
}

function openPanel(show) {
  const found = meant(show);
  if (!found?.list.length) return;
  panel = show;
  $("panel-title").replaceChildren(found.title, h("small", {}, found.under,
    found.link && [" ", h("a", { href: found.link, rel: "noreferrer" }, "reported")]));
  const body = $("panel-body");
  body.replaceChildren();
  if (found.loader) {
    for (const verdict of [...VERDICTS].reverse()) {
      const list = found.list.filter((one) => verdictOf(found.loader, one.number) === verdict.number);
      if (list.length && (found.whatever || show[1] === "case" || wanted(verdict.number))) body.append(section(verdict, found.loader, list));
    }
  } else {
    body.append(pages(found.list, null));
  }
  if (!$("panel").open) $("panel").showModal();
  $("panel").scrollTop = 0;
  $("panel-title").focus();
  writeAddress();
}

function section(verdict, loader, list) {
  return h("section", { class: `v-${verdict.name}` },
    h("h3", {}, `${verdict.sign} ${verdict.name} `, h("small", {}, `${verdict.shows}: ${many(list.length, "case")}`)),
    pages(list, loader));
}

const PAGE = 40;

/** The first cases, and a button for the next ones. */
function pages(list, loader) {
  const box = h("div");
  let done = 0;
  const more = h("button", { type: "button" });
  const next = () => {
    const fresh = list.slice(done, done + PAGE).map((one) => caseBox(one, loader));
    done += fresh.length;
    more.before(...fresh);
    more.hidden = done >= list.length;
    more.textContent = `show more of ${many(list.length - done, "case")}`;
    return fresh[0];
  };
  more.addEventListener("click", () => next()?.querySelector("a, button")?.focus());
  box.append(more);
  next();
  return box;
}

function caseBox(one, loader) {
  const kinds = one.containers.map((number) => data.kinds[number]);
  const about = [one.asks && `${one.asks}: ${data.asks[one.asks]}`, kinds.join(" in ")].filter(Boolean);
  return h("article", { class: "case" },
    h("p", { class: "head" }, h("b", {}, one.id), h("span", { class: "dim" }, about.join(" · ")),
      h("span", { class: "get" }, fileLink(one, one.file === undefined ? "no file" : "file"))),
    one.shows && h("p", {}, one.shows),
    loader && answer(one, loader),
    threads(one),
    others(one, loader));
}

function answer(one, loader) {
  const [, message, total = 0, shown = []] = loader.details[one.number] ?? [];
  const box = h("div");
  if (message !== undefined && data.texts[message]) box.append(h("p", { class: "told" }, data.texts[message]));
  if (shown.length) {
    const head = ["tensor", "fact", "expected", loader.id];
    box.append(h("div", { class: "scroll diff" }, h("table", {},
      h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, ...shown.map((texts) =>
        h("tr", {}, ...texts.map((text, place) => h("td", {}, data.texts[text] || (place ? "" : "(root)")))))))));
  }
  if (total > shown.length) box.append(h("p", { class: "dim" }, `and ${many(total - shown.length, "more difference")}`));
  return box.childNodes.length ? box : null;
}

function threads(one) {
  if (!one.links.length) return null;
  const links = one.links.flatMap((link) => [" ", h("a", { href: link, rel: "noreferrer" }, link.replace(/^https?:\/\/(www\.)?/, ""))]);
  return h("p", {}, h("span", { class: "dim" }, "thread:"), ...links);
}

function others(one, loader) {
  const asked = loaders.filter((other) => other !== loader && verdictOf(other, one.number) >= 0);
  if (!asked.length) return null;
  return h("p", { class: "others" }, ...asked.map((other) => {
    const verdict = VERDICTS[verdictOf(other, one.number)];
    return h("button", {
      type: "button", class: `v-${verdict.name}`, title: verdict.shows,
      "aria-label": `${other.id}: ${verdict.name}`, click: () => openPanel([other.id, "case", one.id]),
    }, `${verdict.sign} ${other.id}`);
  }));
}

$("panel").addEventListener("close", () => writeAddress());
$("panel").addEventListener("click", (event) => { if (event.target === $("panel")) $("panel").close(); });
for (const button of document.querySelectorAll(".loaders button")) {
  button.addEventListener("click", () =>
    openPanel([loaders[button.dataset.loader].id, "verdict", button.dataset.verdict]));
}

// ------------------------------------------------------------------------ filters

function chip(set, key, text, properties) {
  return h("button", {
    type: "button", "aria-pressed": set.has(key), ...properties,
    click: () => { if (!set.delete(key)) set.add(key); draw(); },
  }, text);
}

function drawFilters() {
  const held = document.activeElement?.closest?.(".chips button");
  const [box, place] = held ? [held.parentNode, [...held.parentNode.children].indexOf(held)] : [];
  $("pick-loaders").replaceChildren(...loaders.map((loader) => chip(state.loaders, loader.id, loader.id)));
  $("pick-verdicts").replaceChildren(...[...VERDICTS].reverse()
    .filter((verdict) => loaders.some((loader) => loader.verdicts.includes(String(verdict.number))))
    .map((verdict) => chip(state.verdicts, verdict.name, `${verdict.sign} ${verdict.name}`,
      { class: `v-${verdict.name}`, title: verdict.shows })));
  box?.children[place]?.focus();
  for (const name of FIELDS) if ($(`pick-${name}`).value !== state[name]) $(`pick-${name}`).value = state[name];
  $("meaning").textContent = data.meanings[data.flags.indexOf(state.flag)] ?? "";
  $("meaning").hidden = !$("meaning").textContent;
}

function draw() {
  drawFilters();
  drawMatrix();
  drawCauses();
  writeAddress();
}

const options = (values, shown) => values
  .map((value, place) => [value, shown[place]])
  .sort(([, a], [, b]) => a.localeCompare(b))
  .map(([value, text]) => h("option", { value }, text));
$("pick-container").append(...options(data.containers, data.kinds));
$("pick-flag").append(...options(data.flags, data.flags));
$("pick-asks").append(...Object.entries(data.asks).map(([name, means]) => h("option", { value: name }, `${name}: ${means}`)));
for (const name of FIELDS) {
  $(`pick-${name}`).addEventListener("input", (event) => {
    state[name] = event.target.value;
    if (name === "text") state.toggled.clear();
    causesShown = CAUSES;
    draw();
  });
}
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("reset", (event) => { event.preventDefault(); state = empty(); draw(); });

function start() {
  const anchor = location.hash.slice(1);
  if (anchor && $(anchor)) return;
  readAddress();
  const show = panel;
  $("panel").close();
  draw();
  if (show) openPanel(show);
}
addEventListener("hashchange", start);
readAddress();
draw();
if (panel) openPanel(panel);
