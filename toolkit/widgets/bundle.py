"""The front end as text: the explorer, what its hosts add, and the Plotly.js that the plotly package ships."""

from functools import cache
from importlib.resources import files

from plotly.offline import get_plotlyjs

_HERE = files("toolkit.widgets")

# Plotly.js comes as a script that looks for a CommonJS module to put itself into.
_PLOTLY = "const module = {{ exports: {{}} }}, exports = module.exports;\n{script}\nconst Plotly = module.exports;\n"


@cache
def plotly() -> str:
    """Statements of an ES module after which `Plotly` is Plotly.js; nothing is fetched from elsewhere."""
    return _PLOTLY.format(script=get_plotlyjs())


@cache
def explorer(host: str) -> str:
    """An ES module for one host: `streamlit` (which brings Plotly.js by itself) or `anywidget`."""
    parts = [_text("explorer.js"), _text(f"{host}.js")]
    return "\n".join(parts if host == "streamlit" else [plotly(), *parts])


def css() -> str:
    """The explorer's style sheet."""
    return _text("explorer.css")


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
