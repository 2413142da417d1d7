"""What a browser's tab keeps over a reload and never hands on, as an address would: the name of who labels."""

from typing import Final

import streamlit as st

_KEY: Final = "remembered name"
# What was kept is told once, where the page is opened: who empties the field has no name.
_tab = st.components.v2.component(
    "modkit_remembered",
    js="""const KEY = "modkit name";
const opened = new WeakSet();
export default ({ data, parentElement, setTriggerValue }) => {
  const kept = opened.has(parentElement) ? null : sessionStorage.getItem(KEY);
  opened.add(parentElement);
  if (!data.name && kept) setTriggerValue("found", kept);
  else sessionStorage.setItem(KEY, data.name);
};
""",
    isolate_styles=False,
)


def name(key: str, longest: int) -> None:
    """Has the tab keep the name in the text field of this key, and fills the field with it after a reload."""

    def found() -> None:
        said = st.session_state[_KEY].get("found")
        if isinstance(said, str) and not st.session_state.get(key):
            st.session_state[key] = said[:longest]

    _tab(key=_KEY, data={"name": st.session_state.get(key, "")}, on_found_change=found, height=1)
