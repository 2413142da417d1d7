// What Streamlit calls: with new data, with a new start, and not while the line moves.
const mounted = new WeakMap();
const plotly = () => new Promise((found) => {
  if (globalThis.modkitPlotly) found(globalThis.modkitPlotly);
  else addEventListener("modkit-plotly", () => found(globalThis.modkitPlotly), { once: true });
});

export default function ({ data, parentElement, setStateValue }) {
  const { value, ...curve } = data;
  const key = JSON.stringify(curve);
  const before = mounted.get(parentElement);
  if (before?.key === key) {
    if (before.start !== value.start) before.widget?.start(value);
    before.start = value.start;
    before.widget?.redraw(); // the theme may have changed
    return before.leave;
  }
  const form = JSON.stringify([curve.floor, Boolean(curve.flagged), curve.weighted]);
  if (before?.widget && before.form === form) {
    before.widget.renew(curve, value); // the form is the same: whoever types in it keeps the focus
    Object.assign(before, { key, start: value.start });
    return before.leave;
  }
  before?.leave();
  const root = parentElement.querySelector(".mk-root") ?? parentElement.appendChild(document.createElement("div"));
  root.className = "mk-root";
  const here = { key, start: value.start, form, widget: null };
  here.leave = () => { here.gone = true; here.widget?.destroy(); if (mounted.get(parentElement) === here) mounted.delete(parentElement); };
  mounted.set(parentElement, here);
  plotly().then((Plotly) => {
    if (here.gone) return;
    here.widget = mount(root, { Plotly, data: curve, value, exact: true, onChange: (picked) => setStateValue("picked", picked) });
  });
  return here.leave;
}
