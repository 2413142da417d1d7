"""The threshold explorer: one small front-end module, for the studio and for notebooks.

`explorer.py` says what it shows, `explorer.js` shows it, `streamlit.js` and `anywidget.js` put it into their hosts.
"""

from toolkit.widgets.explorer import explorer_data, pickable
from toolkit.widgets.notebook import distribution, threshold_explorer

__all__ = ["distribution", "explorer_data", "pickable", "threshold_explorer"]
