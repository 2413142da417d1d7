"""The studio: Streamlit pages that ask and show; every number comes from the library.

`main.py` is the script that Streamlit runs, `launch.py` says how it is started, `attached.py` lets it end with whoever
started it, `source.py` knows what is open, `project.py` keeps that for the next time, `tasks.py` runs
what goes on by itself, `pictures.py` makes thumbnails, `widgets.py` is what pages share, and each page is a file of its
own that reads from top to bottom as the page does.
"""

from toolkit.studio.launch import command

__all__ = ["command"]
