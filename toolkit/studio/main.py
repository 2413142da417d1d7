"""The studio's frame: the script that Streamlit runs, the sidebar that all pages share, and the way between them."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import streamlit as st
from PIL import Image, ImageDraw
from streamlit.navigation.page import Page

from toolkit import plots, taxonomy
from toolkit.errors import ToolkitError
from toolkit.results import Results
from toolkit.results.lift import foreign, untranslated
from toolkit.studio import address, compare, connection, explore, label, project, report, runs, source, tune
from toolkit.studio.source import Connection, Desk, Source, View
from toolkit.studio.text import plain
from toolkit.studio.widgets import VEILED, guarded, link, shown
from toolkit.workspace import Workspace

_START: Final = "start"
# Streamlit writes a slider's values and what is chosen of several in the theme's main colour. No colour carries white
# text and can be read on a dark page. The blur is wide enough for the largest picture, and its container cuts off what
# it spreads.
_STYLE: Final = f"""<style>
[data-testid="stMainBlockContainer"] {{ padding-top: 3.5rem; }}
[data-testid="stSliderThumbValue"], [data-testid="stSliderThumbValue"] p {{ color: inherit; }}
[data-testid="stButtonGroup"] [data-selected="true"], [data-testid="stButtonGroup"] [data-selected="true"] * {{
  color: inherit !important;
}}
[class*="st-key-{VEILED}"] [data-testid="stImage"] {{ overflow: hidden; }}
[class*="st-key-{VEILED}"] [data-testid="stImage"] img {{ filter: blur(18px); transition: filter 0.1s; }}
[class*="st-key-{VEILED}"] [data-testid="stImage"] img:hover {{ filter: none; }}
</style>"""


def run() -> None:
    """Draws the studio; called anew at each interaction, as Streamlit does it."""
    st.set_page_config(page_title="Moderation toolkit", page_icon=_icon(), layout="wide")
    st.html(_STYLE)
    with address.written():
        _draw(_arguments(sys.argv[1:]))


def _draw(given: argparse.Namespace) -> None:
    address.read()
    desk = source.desk()
    desk.home = Path(given.dir or "").absolute()
    if given.endpoint and not desk.chosen:
        desk.connection = desk.given = Connection(given.endpoint)
    workspace, view, found = None, None, {}
    with guarded():
        workspace = source.find_workspace(given.dir, Path.cwd())
    with guarded():
        project.keep(workspace)
        if workspace and given.endpoint and connection.service_folder(workspace) == workspace.folder:
            desk.serve(given.endpoint)  # the demo's own, which has come with it
    _notice(desk)
    with guarded():
        found = source.sources(workspace, given.endpoint)
        try:
            view = _choose(workspace, found) if found else None
        except ToolkitError:
            if not _service_ended(found):  # said below, with a way to start it again
                raise

    def show(page: Callable[[View], None]) -> None:
        shown()  # stands in the address of every page
        with guarded():
            page(view) if view is not None else _another(workspace, found) if found else project.nothing_open(workspace)

    def show_runs() -> None:
        with guarded():
            runs.page(workspace, view)

    pages = {
        "explore": (lambda: show(explore.page), ":material/search:"),
        "label": (lambda: show(label.page), ":material/label:"),
        "tune": (lambda: show(tune.page), ":material/tune:"),
        "compare": (lambda: show(compare.page), ":material/compare_arrows:"),
        "report": (lambda: show(report.page), ":material/description:"),
        "runs": (show_runs, ":material/folder_open:"),
    }
    _navigate(pages, given.page)


def _navigate(pages: dict[str, tuple[Callable[[], None], str]], first: str) -> None:
    """Draws the page that the address names, and the way to the others; each is what draws it, and its icon.

    Streamlit gives the first page no path: where an address names it nevertheless, its double is shown. To go
    there by itself would be an entry of the browser's history that nobody asked for.
    """
    named = (st.context.url or "").endswith(f"/{first}")

    def page(name: str, path: str, *, shown: bool) -> Page:
        draw, icon = pages[name]
        visibility: Literal["visible", "hidden"] = "visible" if shown else "hidden"
        return st.Page(
            draw, title=name.capitalize(), icon=icon, url_path=path, default=path == _START, visibility=visibility
        )

    start = page(first, _START, shown=not named)
    others = {name: page(name, name, shown=name != first or named) for name in pages}
    st.session_state[address.PAGES] = others if named else others | {first: start}
    chosen = st.navigation([each for name in pages for each in ([start] if name == first else []) + [others[name]]])
    address.at(chosen.url_path)
    chosen.run()


def _icon() -> Image.Image:
    """Drawn here: Streamlit has the browser fetch named icons from another site."""
    icon = Image.new("RGBA", (64, 64))
    draw = ImageDraw.Draw(icon)
    for y, knob in ((16, 42), (32, 20), (48, 34)):
        draw.line([(6, y), (58, y)], fill=plots.GREY, width=5)
        draw.ellipse([knob - 8, y - 8, knob + 8, y + 8], fill=plots.BLUE)
    return icon


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--dir")
    parser.add_argument("--endpoint")
    parser.add_argument("--page", choices=["explore", "label", "tune", "compare", "report", "runs"], default="explore")
    return parser.parse_known_args(words)[0]


def _notice(desk: Desk) -> None:
    """What is wrong with the project's file, until somebody has read it."""
    if desk.notice is None:
        return
    said, button = st.columns([5, 1], vertical_alignment="center")
    said.warning(plain(desk.notice), icon=":material/warning:")
    if button.button("I have read it", width="stretch"):
        desk.notice = None
        st.rerun()


def _another(workspace: Workspace | None, found: dict[str, Source]) -> None:
    if _service_ended(found):
        st.info("This run is in the project's local service, which does not run.", icon=":material/power_off:")
        if st.button("Start the local service", type="primary", icon=":material/play_arrow:"):
            connection.start(workspace)
            st.rerun()
        return
    st.info("This run cannot be read. Choose another run at the left, or open one.", icon=":material/folder_open:")
    link("runs", "Open results on the Runs page")


def _service_ended(found: dict[str, Source]) -> bool:
    """Whether the run under the eyes is in a local service that does not run."""
    desk, run = source.desk(), found.get(st.session_state.get("run", ""))
    if run is None or desk.served is None or run.connection != Connection(desk.served):
        return False
    return not connection.listens(desk.served)


def _choose(workspace: Workspace | None, found: dict[str, Source]) -> View:
    """The sidebar: which run, which label. Both stand in the address, so that a reload shows the same."""
    if address.NEXT in st.session_state:
        st.session_state["run"] = st.session_state.pop(address.NEXT)
        st.session_state.pop("label", None)  # it begins with one of its own
        address.nothing_missing()
    short = source.short_names(found)
    name = address.choose(st.sidebar, "Run", "run", list(found), source.NOT_OPEN, short=short)
    results = source.load(found[name])
    _say_models(results)
    samples, truth = None, None
    with guarded():
        samples = source.samples_of(workspace)
        truth = source.load_samples(samples) if samples else None
    names = source.every_label(results, truth)
    said = "is neither in this run nor in the labelled samples"
    label = address.choose(st.sidebar, "Label", "label", names, said)
    return View(found[name], results, samples, truth, label, workspace, tuple(found.values()))


def _say_models(results: Results) -> None:
    """Policies and labelled samples name the labels of model 7; what another says may be called the same."""
    others = foreign(results.model_versions)
    if not others:
        return
    if not untranslated(others):
        said = f"Model {', '.join(others)} answered; its labels are shown as those of {taxonomy.MODEL_VERSION}."
        st.sidebar.caption(plain(said))
    else:
        st.warning(
            plain(
                f"Model {', '.join(others)} answered, whose labels are not those of {taxonomy.MODEL_VERSION} that "
                "policies and labelled samples name, even where they are called the same; look at it by itself."
            ),
            icon=":material/warning:",
        )


if __name__ == "__main__":
    run()
