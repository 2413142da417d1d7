"""What stands on a page in Streamlit's own harness, and hands for its buttons and boxes."""

import json
import re
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.studio.conftest import APP


def counts(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def explorer(app: AppTest) -> dict[str, Any]:
    """What the threshold explorer in the browser is given."""
    return next(json.loads(each.proto.json) for each in app.get("bidi_component") if "threshold" in each.proto.json)


def figure(app: AppTest) -> str:
    return json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]["title"]["text"]


def shown(app: AppTest) -> str:
    """What the boxes on the page say, as a reader sees it."""
    boxes = [*app.error, *app.warning, *app.info, *app.success]
    return re.sub(r"\\(.)", r"\1", " ".join(str(box.value) for box in boxes))


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()


def open_manifest(app: AppTest, location: str) -> None:
    next(box for box in app.text_input if box.label == "Path or S3 URI").set_value(location)
    press(app, "Open")


def field(app: AppTest, label: str) -> Any:
    return next(box for box in app.text_input if box.label == label)


def load_samples(app: AppTest, location: str) -> None:
    [box for box in app.text_input if box.label == "Path or S3 URI"][1].set_value(location)
    press(app, "Load")


def links(app: AppTest) -> set[str]:
    return {each.proto.page for each in app.get("page_link")}


def open_app_again(*arguments: str, **address: str) -> AppTest:
    """Another tab of the same studio: what was opened is still there."""
    app = AppTest.from_file(str(APP), default_timeout=30)
    app.query_params.update(address)
    return app.run()
