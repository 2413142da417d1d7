"""What an adapter's training itself said, from the file that AWS writes."""

from typing import Final

import streamlit as st

from toolkit import adapters, plots
from toolkit.errors import NotFound
from toolkit.studio import source
from toolkit.studio.source import Source
from toolkit.studio.widgets import guarded, link, table

_FETCHED: Final = "evaluation of an adapter"


def section(candidate: Source) -> None:
    """An expander that reads the evaluation of a run's adapter, or fetches it from where the adapter is."""
    with st.expander("The adapter's own evaluation", icon=":material/fact_check:"):
        st.caption("The training writes a file with what base model and adapter did on its test images.")
        with guarded():
            if candidate.adapter is not None:
                _fetch(candidate, candidate.adapter)
            where = st.text_input("Path or S3 URI of the evaluation", placeholder="s3://bucket/…/evaluation.json")
            of, found = st.session_state.get(_FETCHED, (None, None))
            if where.strip():
                place = source.connection_of(candidate) or candidate.connection
                found = adapters.read_evaluation(where.strip(), session=source.session(place))
            elif of is None or of != candidate.adapter:
                return
            rows = found.table()
            st.plotly_chart(plots.evaluation(rows), key="evaluation")
            table(rows, {name: name.replace("_", " ").capitalize() for name in rows.columns}, number="%g")


def _fetch(candidate: Source, arn: str) -> None:
    """A button that asks the service where the run's adapter is for its evaluation."""
    place = source.connection_of(candidate)
    if place is None:
        link("runs", "Choose a connection to fetch it from")
    elif st.button("Fetch the evaluation of this adapter", icon=":material/download:"):
        known = adapters.list_adapters(source.session(place))
        found = next((adapter for adapter in known if adapter.arn == arn), None)
        if found is None:
            raise NotFound(f"{arn}: not an adapter of this connection; choose the one it was trained at on Runs.")
        st.session_state[_FETCHED] = arn, found.evaluation()
