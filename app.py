"""The studio, opened with `streamlit run app.py`."""

from toolkit.studio.main import run

run()
