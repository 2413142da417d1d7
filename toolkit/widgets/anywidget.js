// What a notebook calls: the curve is drawn once, and again when Python gives another one.
export default {
  render({ model, el }) {
    let widget = null, told = null;
    const draw = () => {
      widget?.destroy();
      const onChange = (picked) => { told = picked; model.set("picked", picked); model.save_changes(); };
      widget = mount(el, { Plotly, data: model.get("data"), value: model.get("picked"), onChange });
    };
    const moved = () => { if (model.get("picked") !== told) widget?.start(model.get("picked")); };
    draw();
    model.on("change:data", draw);
    model.on("change:picked", moved);
    return () => { model.off("change:data", draw); model.off("change:picked", moved); widget?.destroy(); };
  },
};
