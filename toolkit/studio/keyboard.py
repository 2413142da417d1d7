"""Keys that answer a question: each press belongs to the question that was on the screen, and holding one asks for one.

Streamlit's own shortcuts press a button again while its page is on the way to the next question, and for as long as the
key is held.
"""

from collections.abc import Callable, Mapping
from typing import Final

import streamlit as st

# A turn is one question. A key counts once a turn, and not while somebody types.
_LISTEN: Final = """
const writing = "input, textarea, select, [contenteditable]";
const listeners = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const field = document.activeElement;
  if (listeners.get(parentElement)?.who !== data.who && field?.getAttribute("aria-label") === data.field) field.blur();
  listeners.get(parentElement)?.leave();
  let answered = false;
  const press = (event) => {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.(writing)) return;
    const act = data.keys[event.key.toLowerCase()];
    if (act === undefined || answered) return;
    answered = true;
    setTriggerValue("pressed", { act, turn: data.turn });
  };
  const leave = () => document.removeEventListener("keydown", press);
  document.addEventListener("keydown", press);
  listeners.set(parentElement, { who: data.who, leave });
  parentElement.dataset.turn = data.turn;
  return () => { leave(); listeners.delete(parentElement); };
}
"""
_listener = st.components.v2.component("modkit_keyboard", js=_LISTEN, isolate_styles=False)
_KEY: Final = "keyboard"


def listen(keys: Mapping[str, str], turn: int, act: Callable[[str, int], None], *, who: str, field: str) -> None:
    """Listens for keys.

    Parameters
    ----------
    keys
        Key to the name of what it does.
    turn
        Number of the question on the screen.
    act
        Called with the name and the turn that the key was pressed in.
    who, field
        Once another name is in the text field of this label, it lets go of the keyboard.
    """

    def pressed() -> None:
        said = st.session_state[_KEY].get("pressed")
        if isinstance(said, dict) and said.get("act") in keys.values() and isinstance(said.get("turn"), int):
            act(said["act"], said["turn"])

    _listener(
        key=_KEY,
        data={"keys": dict(keys), "turn": turn, "who": who, "field": field},
        on_pressed_change=pressed,
        height=1,
    )
