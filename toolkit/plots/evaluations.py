"""What a training says of its adapter, as a figure."""

import pandas as pd
import plotly.graph_objects as go

from toolkit.plots import look


def evaluation(table: pd.DataFrame, label: str | None = None) -> go.Figure:
    """Precision and recall of base model and adapter against the threshold.

    Parameters
    ----------
    table
        `Evaluation.table()`: one row a threshold and label, with the counts of both models.
    label
        One label; None sums over all of them.

    Returns
    -------
    plotly.graph_objects.Figure
        The adapter in full lines, the base model dotted. A precision without a flagged image is not drawn.
    """
    rows = table if label is None else table[table["label"] == label]
    counts = rows.drop(columns="label").groupby("threshold", as_index=False).sum()
    figure = go.Figure()
    for measure, other, colour in (("precision", "fp", look.PRECISION), ("recall", "fn", look.RECALL)):
        for model, name, dash in (("adapter", "adapter", "solid"), ("base", "base model", "dot")):
            right = counts[f"{model}_tp"]
            of = right + counts[f"{model}_{other}"]
            figure.add_scatter(
                x=counts["threshold"], y=(right / of).where(of > 0), name=f"{measure}, {name}", mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2}, marker={"size": 5},
                customdata=pd.concat([right, of], axis=1).to_numpy(),
                hovertemplate=f"{measure}, {name}, from %{{x}}: %{{y:.1%}}<br>%{{customdata[0]}} of %{{customdata[1]}}"
                "<extra></extra>",
            )  # fmt: skip
    if counts.empty:
        look.nothing_to_show(figure, "no threshold was evaluated")
    figure.update_xaxes(title="threshold (%)", range=[0, 101])
    figure.update_yaxes(look.percent_axis(title="share", range=[-0.03, 1.05]))
    first = counts.iloc[0] if len(counts) else None
    judged = 0 if first is None else int(first[["adapter_tp", "adapter_fp", "adapter_fn", "adapter_tn"]].sum())
    what = "test images" if label is not None else "judgements on the test images, over all labels"
    return look.dress(figure, f"{label or 'All labels'}: what the adapter changes", f"{judged:,} {what}")
