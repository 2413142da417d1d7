// The threshold explorer: one label's exact curve, and a line to drag over it. It asks nobody while the line moves.
// `mount` draws it; the hosts (Streamlit, notebooks) give it Plotly, the data and a function to call when it is let go.

// One meaning each, as in toolkit/plots/look.py; green, in the style sheet, is the threshold.
const PRECISION = "#0072B2", RECALL = "#D55E00", PRESENT = "#CC79A7", GREY = "#8A8F98", ABSENT = GREY;
const MARGIN = { l: 56, r: 16, t: 12, b: 44 };
const VIEWS = { "all": null, "90–100": [90, 100], "99–100": [99, 100] };
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
const VOLUME = 10000; // images a day, for as long as nobody types a number
const COUNTS = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

const faded = (colour, opacity) => colour + Math.round(opacity * 255).toString(16).padStart(2, "0");
const percent = (rate) => (rate === null ? "–" : `${(100 * rate).toFixed(1)} %`);
const span = (low, high, level) => (low === null ? "nothing to count" : `${(100 * low).toFixed(1)} – ${percent(high)} (${level})`);
// The shortest text that is this very confidence: thresholds are compared as float32.
export function written(threshold) {
  for (let digits = 0; digits < 9; digits++) {
    const short = Number(threshold.toFixed(digits));
    if (Math.fround(short) === Math.fround(threshold)) return String(short);
  }
  return String(threshold);
}

function element(parent, tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = `mk-${name}`;
  if (text !== undefined) made.textContent = text; // never as HTML: labels come from outside
  parent.append(made);
  return made;
}

// The first point at or above a threshold: what is flagged there is exactly what is flagged at that point.
export function place(thresholds, asked) {
  let low = 0, high = thresholds.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (thresholds[middle] < asked - 1e-9) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function nearest(thresholds, asked) {
  const above = place(thresholds, asked);
  const closer = above > 0 && asked - thresholds[above - 1] < thresholds[above] - asked;
  return closer ? above - 1 : above;
}

// A form beside the chart: what the threshold does, in numbers.
function panel(parent, data, act) {
  const box = element(parent, "div", "panel");
  const ask = (title, step, taken) => {
    const line = element(box, "label", "ask", title);
    const input = element(line, "input");
    Object.assign(input, { type: "number", step, min: 0 });
    input.addEventListener("change", () => { delete input.dataset.shown; taken(input.value); });
    return input;
  };
  const number = ask("Threshold (%)", "any", (text) => act.type("block", text));
  Object.assign(number, { min: data.floor, max: 100 });
  const became = element(box, "div", "note");
  became.setAttribute("aria-live", "polite");
  const tile = (title, help) => {
    const made = element(box, "div", "tile");
    made.title = help;
    element(made, "div", "title", title);
    return [element(made, "div", "value"), element(made, "div", "note")];
  };
  const [weighted, how] = data.weighted ? [", weighted", " Each judged image counts as often as its weight says."] : ["", ""];
  const precision = tile(`Precision${weighted}`, `Of the flagged images, how many show it.${how}`);
  const recall = tile(`Recall${weighted}`, `Of the images that show it, how many are flagged.${how}`);
  const cells = element(box, "div", "cells");
  const cell = (title) => {
    const made = element(cells, "div", "cell");
    element(made, "div", "note", title);
    return element(made, "div", "count");
  };
  const counts = { tp: cell("Flagged, rightly"), fn: cell("Missed"), fp: cell("Flagged, wrongly"), tn: cell("Left alone, rightly") };
  const forecast = Boolean(data.flagged);
  let volume, said;
  if (forecast) {
    volume = ask("Images a day", 1000, (text) => act.volume(text.trim() === "" ? VOLUME : Math.max(0, Number(text) || 0)));
    said = element(box, "div", "note");
    said.setAttribute("aria-live", "polite");
  }
  const reviewed = element(box, "label", "check", " Review band below it");
  const check = element(reviewed, "input");
  check.type = "checkbox";
  reviewed.prepend(check);
  check.addEventListener("change", () => act.review(check.checked));
  const review = ask("Review from (%)", "any", (text) => act.type("review", text));
  Object.assign(review, { min: data.floor, max: 100 });
  const band = element(box, "div", "note");
  return { review, number, became, precision, recall, counts, volume, said, check, band };
}

// Leaves alone what somebody is typing, unless there is something new to show.
function fill(input, text) {
  if (input.dataset.shown !== text) input.value = input.dataset.shown = text;
}

function forecastInWords(data, at, volume) {
  const flagged = data.flagged[at] * volume;
  const range = `${COUNTS.format(data.flagged_low[at] * volume)} – ${COUNTS.format(data.flagged_high[at] * volume)}`;
  const head = `Flags ${COUNTS.format(flagged)} a day (${range})`;
  if (data.precision[at] === null) return `${head}.`;
  const wrong = (precision) => COUNTS.format(flagged * (1 - precision));
  const wrongly = `${wrong(data.precision_high[at])} – ${wrong(data.precision_low[at])}`;
  return `${head}; about ${wrong(data.precision[at])} of them wrongly (${wrongly}), if the samples are like the run.`;
}

function traces(data) {
  const line = (y, colour) => ({ x: data.threshold, y, mode: "lines", line: { color: colour, width: 2.5, shape: "vh" } });
  const edge = (y, colour, fill) => ({
    x: data.threshold, y, mode: "lines", line: { width: 0, shape: "vh" },
    ...(fill ? { fill: "tonexty", fillcolor: faded(colour, 0.15) } : {}),
  });
  const bars = (y, colour) => ({
    x: data.bars.middle, y, type: "bar", yaxis: "y2", width: data.bars.width, marker: { color: colour, line: { width: 0 } },
  });
  const rate = (name, colour) => [
    edge(data[`${name}_high`], colour), edge(data[`${name}_low`], colour, true), line(data[name], colour),
  ];
  return [
    ...rate("precision", PRECISION), ...rate("recall", RECALL),
    bars(data.bars.present, PRESENT), bars(data.bars.absent, ABSENT),
  ];
}

// Above the chart and not in it, where the line would cross it.
function legend(parent) {
  const box = element(parent, "div", "legend");
  const entry = (text, shape, colour) => { element(element(box, "span", "entry", text), "i", shape).style.background = colour; };
  entry("precision", "stroke", PRECISION);
  entry("recall", "stroke", RECALL);
  entry("shows it", "square", PRESENT);
  entry("does not", "square", ABSENT);
}

function layout(data, style, view) {
  const axis = { fixedrange: true, gridcolor: faded(GREY, 0.25), zeroline: false, linecolor: faded(GREY, 0.5) };
  return {
    margin: MARGIN, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: false, dragmode: false,
    barmode: "stack", font: { color: style.color, size: 13, family: style.fontFamily }, height: 420,
    showlegend: false,
    xaxis: { ...axis, range: view ?? [data.floor, 100], title: { text: data.floor > 0 ? `threshold (%); nothing is known below ${written(data.floor)}` : "threshold (%)" }, anchor: "y2" },
    yaxis: { ...axis, domain: [0.36, 1], range: [0, 1.02], tickformat: ".0%", title: { text: "rate" } },
    yaxis2: { ...axis, domain: [0, 0.27], title: { text: "judged" }, rangemode: "tozero", nticks: 4 },
  };
}

// `exact`: the host gives other counts (`renew`) when it is told a threshold that is not among the data's.
export function mount(root, { Plotly, data, value, onChange, exact = false }) {
  root.textContent = "";
  const host = element(root, "div", "explorer");
  const left = element(host, "div", "left");
  const head = element(left, "div", "head");
  legend(head);
  const views = element(head, "div", "views");
  const chart = element(left, "div", "chart");
  const shade = element(chart, "div", "shade");
  const lines = { review: element(chart, "div", "line mk-review"), block: element(chart, "div", "line") };
  const tags = Object.fromEntries(Object.entries(lines).map(([name, line]) => [name, element(line, "span", "tag")]));
  const suggested = element(chart, "div", "suggested");
  element(suggested, "span", "hint", "suggested");
  const slider = element(left, "input", "slider");
  let thresholds = data.threshold;
  const state = { block: thresholds.length - 1, review: null, volume: value.volume ?? VOLUME, start: value.start };
  let view = null, held = null, stepped = false, frame = 0, became = "";
  Object.assign(slider, { type: "range", step: "any" });
  slider.setAttribute("aria-label", "Threshold (confidence, %): images at or above it are flagged");

  const range = () => view ?? [data.floor, 100];
  const width = () => chart.clientWidth - MARGIN.l - MARGIN.r;
  const toPixel = (t) => MARGIN.l + ((t - range()[0]) / (range()[1] - range()[0])) * width();
  const toThreshold = (x) => range()[0] + ((x - MARGIN.l) / width()) * (range()[1] - range()[0]);
  const within = (x) => Math.min(Math.max(x, MARGIN.l), chart.clientWidth - MARGIN.r);

  const where = () => ({ block: thresholds[state.block], review: state.review === null ? null : thresholds[state.review] });
  const say = (typed = {}) => {
    const at = { ...where(), ...typed };
    if (at.review !== null) at.review = Math.min(at.review, at.block);
    onChange({ ...at, volume: state.volume, start: state.start });
  };
  const act = {
    pick(name, asked) {
      became = "";
      state[name] = nearest(thresholds, asked);
      if (name === "block" && state.review !== null) state.review = Math.min(state.review, state.block);
      if (name === "review") state.review = Math.min(state.review, state.block);
      schedule();
    },
    // A number from the keyboard is taken as it is, or the panel says which one was taken in its place.
    type(name, text) {
      const asked = text.trim() === "" ? NaN : Number(text);
      if (!Number.isFinite(asked)) return paint(); // an emptied box moves nothing
      const most = name === "review" ? thresholds[state.block] : 100;
      act.pick(name, asked);
      const taken = thresholds[state[name]];
      if (Math.fround(taken) === Math.fround(asked)) return say();
      if (exact && asked >= data.floor && asked <= most) return say({ [name]: asked });
      became = `${text} became ${written(taken)}, the nearest that can be had here.`;
      say();
    },
    review(wanted) {
      state.review = wanted ? nearest(thresholds, (data.floor + thresholds[state.block]) / 2) : null;
      paint();
      say();
    },
    volume(wanted) {
      state.volume = wanted;
      paint();
      say();
    },
  };
  const form = panel(host, data, act);

  function paint() {
    frame = 0;
    const at = state.block;
    for (const rate of ["precision", "recall"]) {
      form[rate][0].textContent = percent(data[rate][at]);
      form[rate][1].textContent = span(data[`${rate}_low`][at], data[`${rate}_high`][at], data.level);
    }
    for (const [name, place] of Object.entries(form.counts)) place.textContent = COUNTS.format(data[name][at]);
    fill(form.number, written(thresholds[at]));
    form.became.textContent = became;
    form.check.checked = state.review !== null;
    form.review.parentElement.hidden = state.review === null;
    fill(form.review, state.review === null ? "" : written(thresholds[state.review]));
    if (form.said) {
      fill(form.volume, String(state.volume));
      form.said.textContent = forecastInWords(data, at, state.volume);
    }
    form.band.textContent = state.review === null ? "" : bandInWords();
    [slider.min, slider.max] = range(); // the chart's axis: the knob stands under the line
    slider.value = thresholds[at];
    slider.setAttribute("aria-valuetext", `${written(thresholds[at])} %`);
    for (const [name, line] of Object.entries(lines)) drawLine(line, tags[name], state[name]);
    const from = within(toPixel(thresholds[at]));
    shade.style.transform = `translateX(${from}px)`;
    shade.style.width = `${Math.max(0, chart.clientWidth - MARGIN.r - from)}px`;
    if (data.suggested !== null) suggested.style.transform = `translateX(${toPixel(data.suggested)}px)`;
    suggested.classList.toggle("mk-rightward", toPixel(data.suggested ?? 100) < MARGIN.l + 70); // not over the axis
    suggested.hidden = data.suggested === null || data.suggested < range()[0];
  }
  function bandInWords() {
    const judged = (name) => data[name][state.review] - data[name][state.block];
    const head = `Review from ${written(thresholds[state.review])}: ${COUNTS.format(judged("tp") + judged("fp"))} judged images, ` +
      `${COUNTS.format(judged("tp"))} of them show it`;
    if (!data.flagged) return `${head}.`;
    const share = data.flagged[state.review] - data.flagged[state.block];
    return `${head}; ${COUNTS.format(share * state.volume)} a day to look at.`;
  }
  function drawLine(line, tag, at) {
    const shown = at !== null && thresholds[at] >= range()[0] - 1e-9;
    line.hidden = !shown;
    if (!shown) return;
    const x = toPixel(thresholds[at]);
    line.style.transform = `translateX(${x}px)`;
    tag.textContent = line === lines.review ? `review ${written(thresholds[at])}` : written(thresholds[at]);
    tag.classList.toggle("mk-leftward", x > chart.clientWidth - 70);
  }
  const schedule = () => { frame ||= requestAnimationFrame(paint); };

  const xOf = (event) => event.clientX - chart.getBoundingClientRect().left;
  chart.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const x = xOf(event);
    const far = (name) => (state[name] === null ? Infinity : Math.abs(toPixel(thresholds[state[name]]) - x));
    held = far("review") < far("block") ? "review" : "block";
    chart.setPointerCapture(event.pointerId);
    act.pick(held, toThreshold(within(x)));
    event.preventDefault();
  });
  chart.addEventListener("pointermove", (event) => held && act.pick(held, toThreshold(within(xOf(event)))));
  for (const ending of ["pointerup", "pointercancel"]) {
    chart.addEventListener(ending, () => { if (held) { held = null; say(); } });
  }
  slider.addEventListener("input", () => act.pick("block", Number(slider.value)));
  slider.addEventListener("change", () => say());
  // Keys go from one threshold to the next, within what the chart shows; letting go of the key tells the host.
  slider.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !(event.key in STEPS)) return;
    event.preventDefault();
    const first = place(thresholds, range()[0]), last = thresholds.length - 1;
    act.pick("block", thresholds[Math.min(Math.max(state.block + STEPS[event.key], first), last)]);
    stepped = true;
  });
  for (const ending of ["keyup", "blur"]) {
    slider.addEventListener(ending, () => { if (stepped) { stepped = false; say(); } });
  }

  const draw = () => Plotly.react(plot, traces(data), layout(data, getComputedStyle(host), view), { displayModeBar: false, responsive: false });
  const plot = element(chart, "div", "plot");
  chart.prepend(plot);
  const offered = Object.entries(VIEWS).filter(([, wanted]) => wanted === null || wanted[0] > data.floor);
  for (const [name, wanted] of offered.length > 1 ? offered : []) {
    const button = element(views, "button", "view", name);
    button.type = "button";
    button.setAttribute("aria-pressed", wanted === view);
    button.addEventListener("click", () => {
      view = wanted;
      for (const each of views.children) each.setAttribute("aria-pressed", each === button);
      draw();
      paint();
    });
  }
  const watch = new ResizeObserver(() => { draw(); paint(); });
  watch.observe(chart);
  function start(wanted) {
    state.start = wanted.start;
    state.volume = wanted.volume ?? state.volume;
    state.block = nearest(thresholds, wanted.block);
    state.review = wanted.review === null || wanted.review === undefined ? null : nearest(thresholds, wanted.review);
    paint();
  }
  // Other counts of the same run: the line stays where it is, unless Python has put it somewhere.
  function renew(fresh, wanted) {
    const at = where();
    data = fresh;
    thresholds = data.threshold;
    draw();
    start(wanted.start === state.start ? { ...at, start: state.start } : wanted);
  }
  start(value);
  return {
    start,
    renew,
    redraw: draw,
    destroy() { watch.disconnect(); cancelAnimationFrame(frame); Plotly.purge(plot); root.textContent = ""; },
  };
}
