"""What makes a page one for a room: large type, and nothing beside it."""

from typing import Final

import plotly.graph_objects as go
import streamlit as st

# Our own words only: nothing from outside gets into them.
_SLIDE: Final = """<style>
[data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stSidebarCollapsedControl"] { display: none; }
[data-testid="stMainBlockContainer"] { max-width: 1500px; padding: 1rem 3rem; }
[data-testid="stMainBlockContainer"] p { font-size: 1.25rem; }
[data-testid="stMetricValue"] p { font-size: clamp(2.2rem, 3.6vw, 3.6rem) !important; line-height: 1.1; }
[data-testid="stColumn"] [data-testid="stVerticalBlock"] { gap: 0.3rem; }
[data-testid="stColumn"] p { line-height: 1.3; }
h1 { font-size: clamp(1.8rem, 2.8vw, 2.8rem) !important; line-height: 1.15 !important; padding: 0 0 0.3rem !important; }
h3 { font-size: 1.9rem !important; }
</style>"""
# Where the page was scrolled to before, its beginning cannot be seen.
_top = st.components.v2.component(
    "modkit_top",
    js="""const seen = new WeakSet();
export default ({ parentElement }) => {
  if (!seen.has(parentElement)) document.querySelector("[data-testid=stMain]")?.scrollTo(0, 0);
  seen.add(parentElement);
};
""",
    isolate_styles=False,
)


def dress() -> None:
    """Hides what is not for a room, and enlarges what is."""
    st.html(_SLIDE)


def begin_above() -> None:
    """Shows the beginning of the page, wherever the one before was scrolled to."""
    _top(key="top")


def enlarged(figure: go.Figure) -> go.Figure:
    """The curves as the last row can read them; what they are about stands above them already."""
    large = {"size": 20}
    figure.for_each_trace(lambda trace: trace.update(line_width=4) if trace.line.width else None)
    figure.update_annotations(font=large)
    # The runs' names, over the mark's number.
    figure.for_each_annotation(lambda name: name.update(yshift=32), selector={"yref": "paper"})
    figure.update_xaxes(tickfont=large, title_font=large).update_yaxes(tickfont=large, title_font=large)
    return figure.update_layout(title=None, legend_font=large, height=460, margin={"l": 90, "t": 90, "b": 110})
