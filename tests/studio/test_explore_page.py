"""The Explore page's gallery and its one image in detail."""

import json
import re

import pytest
from playwright.sync_api import expect

import toolkit as tk
from tests.studio.conftest import PREFIX, N, Open, is_gambling, score, written
from tests.studio.pages import counts, shown
from toolkit import manifests


def gallery(app) -> str:
    return next(text.value for text in app.text if " of " in text.value and "–" in text.value)


def test_the_gallery_is_filtered_by_what_people_and_the_policy_say(workspace, open_app: Open):
    tk.Policy({"Gambling": tk.Rule(block=80.0, review=60.0)}).save(workspace.folder / "policy.json")
    app = open_app("--dir", str(workspace.folder), "--page", "explore", run="adapter", label="Gambling")
    assert gallery(app) == f"1–24 of {N}"
    app.selectbox(key="people say").select("present").run()
    assert gallery(app).endswith(f" of {sum(map(is_gambling, range(N)))}")
    app.selectbox(key="policy says").select("block").run()
    assert gallery(app).endswith(f" of {sum(is_gambling(n) and score(n) >= 80 for n in range(N))}")
    app.selectbox(key="policy says").select("allow").run()
    assert "No image is all of this" in shown(app)
    assert not app.exception


def test_pages_follow_each_other_and_a_narrower_filter_ends_at_its_last(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "explore", run="adapter", label="Gambling")
    next(button for button in app.button if button.label == "Next").click().run()
    assert gallery(app) == f"25–{N} of {N}"
    low = score(3)
    app.slider[0].set_value((low, 100.0)).run()
    count = sum(score(n) >= low for n in range(N))
    assert gallery(app) == f"1–{count} of {count}" if count <= 24 else gallery(app).endswith(f"of {count}")


def test_another_label_begins_at_its_first_page(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "explore", run="adapter", label="Gambling", page="2")
    assert app.query_params["page"] == "2"
    app.selectbox(key="label").select("Violence").run()
    assert "page" not in app.query_params


def test_what_the_page_shows_stands_in_the_address(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "explore", run="adapter", label="Gambling")
    assert set(app.query_params) == {"run", "label"}
    app.selectbox(key="people say").select("absent").run()
    app.radio(key="shape").set_value("At or above").run()
    next(button for button in app.button if button.label == "Next").click().run()
    count = sum(not is_gambling(number) for number in range(N))
    assert gallery(app) == f"25–{count} of {count}"
    address = {name: app.query_params[name] for name in app.query_params}
    address = {name: value[0] if isinstance(value, list) else value for name, value in address.items()}
    again = open_app("--dir", str(workspace.folder), "--page", "explore", **address)
    assert gallery(again) == gallery(app)
    assert again.radio(key="shape").value == "At or above"
    assert {"said": "absent", "page": "2", "shape": "At or above"}.items() <= address.items()
    again.selectbox(key="people say").select("any").run()
    assert "said" not in again.query_params


def test_a_run_without_samples_or_policy_still_has_a_gallery(workspace, open_app: Open):
    tk.Workspace(workspace.folder, workspace.runs, None, workspace.images).save()
    app = open_app("--dir", str(workspace.folder), "--page", "explore", run="base", label="Explicit")
    assert not app.error
    assert not {"people say", "policy says"} & {box.key for box in app.selectbox}
    assert gallery(app) == f"1–24 of {N}"


def test_one_image_in_detail_has_all_that_is_known_of_it(open_page, demo):
    seen = open_page("/explore?run=adapter&label=Gambling", viewport={"width": 1440, "height": 2200})
    page = seen.page
    page.get_by_role("button", name="Details").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(re.compile(r"s3://demo-images/image-\d\d\.jpg"))).to_be_visible()
    expect(dialog.get_by_text("People say: Gambling is present")).to_be_visible()
    expect(dialog.get_by_test_id("stDataFrame")).to_be_visible()
    seen.settle()
    seen.see_pictures()
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    page.get_by_text("At or above", exact=True).click()
    expect(page.get_by_text("Gambling: images at or above each confidence")).to_be_visible()
    page.get_by_text("Tree", exact=True).click()
    expect(page.locator(".treemaplayer .slice path").first).to_be_visible()
    page.get_by_text("Seen together", exact=True).click()
    expect(page.locator(".heatmaplayer image").first).to_be_visible()
    seen.settle()


def test_the_range_of_confidences_and_the_content_type_stand_in_the_address(workspace, open_app: Open):
    path = workspace.path("runs/adapter/results.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for number, line in enumerate(lines):
        line["detect-moderation-labels"]["ContentTypes"] = [
            {"Name": "Illustrated" if number % 2 else "Animated", "Confidence": 90.0}
        ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    app = open_app("--dir", str(workspace.folder), run="adapter", label="Gambling")
    app.slider[0].set_value((60.0, 80.5)).run()
    app.selectbox(key="drawn type").select("Animated").run()
    address = {name: app.query_params[name] for name in app.query_params}
    address = {name: value[0] if isinstance(value, list) else value for name, value in address.items()}
    assert {"from": "60", "to": "80.5", "drawn": "Animated"}.items() <= address.items()
    again = open_app("--dir", str(workspace.folder), **address)
    assert again.slider[0].value == (60.0, 80.5)
    assert gallery(again) == gallery(app) != f"1–24 of {N}"
    assert again.selectbox(key="drawn type").value == "Animated"
    again.slider[0].set_value((50.0, 100.0)).run()
    assert not {"from", "to"} & set(again.query_params)


def test_a_range_in_the_address_that_makes_no_sense_is_put_right(workspace, open_app: Open):
    nonsense = {"from": "90", "to": "nan"}
    app = open_app("--dir", str(workspace.folder), run="adapter", label="Gambling", **nonsense)
    assert app.slider[0].value == (90, 100)
    nonsense = {"from": "90", "to": "60"}
    assert open_app("--dir", str(workspace.folder), run="adapter", **nonsense).slider[0].value == (50, 100)


def test_a_run_without_any_label_shows_all_its_images(workspace, open_app: Open):
    path = workspace.path("runs/base/results.jsonl")
    refs = [f"{PREFIX}image-{number:02}.jpg" for number in range(N)]
    path.write_text("".join(manifests.to_line(manifests.result_record(each, [])) for each in refs))
    tk.Workspace(workspace.folder, workspace.runs, None, workspace.images).save()
    app = open_app("--dir", str(workspace.folder), run="base")
    assert not app.error
    assert gallery(app) == f"1–24 of {N}"
    assert len(app.get("image")) == 24


def test_the_number_of_flagged_images_says_by_what(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), run="adapter", label="Gambling")
    assert counts(app)["With a label"] == str(N)
    assert "from the run's floor up, 50\xa0%." in " ".join(caption.value for caption in app.caption)
    tk.Policy({"Gambling": tk.Rule(block=80.0)}).save(workspace.folder / "policy.json")
    app = open_app("--dir", str(workspace.folder), run="adapter", label="Gambling")
    assert counts(app)["Flagged"] == str(sum(score(number) >= 80 for number in range(N)))
    assert "from the policy's block thresholds up." in " ".join(caption.value for caption in app.caption)


def test_the_image_in_detail_stands_in_the_address_until_it_is_closed(open_page):
    seen = open_page("/explore?run=adapter&label=Gambling&page=2", viewport={"width": 1440, "height": 2200})
    page, dialog = seen.page, seen.page.get_by_role("dialog")
    seen.see_pictures()
    page.get_by_role("button", name="Details").nth(1).click()
    expect(page).to_have_url(re.compile("image=s3"))
    name = dialog.get_by_text(re.compile(r"s3://demo-images/image-\d\d\.jpg")).inner_text()
    seen.settle()
    seen.see_pictures()
    page.reload()
    expect(dialog.get_by_text(name)).to_be_visible()
    seen.settle()
    seen.see_pictures()
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    expect(page).not_to_have_url(re.compile("image="))
    seen.settle()
    seen.see_pictures()


def test_a_page_and_a_range_that_are_not_there_are_said(workspace, open_app: Open):
    given = {"run": "adapter", "label": "Gambling", "page": "999", "from": "80", "to": "60"}
    app = open_app("--dir", str(workspace.folder), "--page", "explore", **given)
    assert "The address asks for page 999, and there are 2. Shown instead: the first." in shown(app)
    assert "The address asks for confidences from 80 to 60, which none can have. All are shown." in shown(app)
    assert gallery(app) == f"1–24 of {N}"


def test_a_link_blurs_images_but_does_not_bare_them(workspace, open_app: Open):
    for given, shows in (("Blurred", "Blurred"), ("Sharp", "On hover"), ("x", "On hover")):
        app = open_app("--dir", str(workspace.folder), "--page", "explore", run="adapter", images=given)
        assert app.session_state["images shown"] == shows
        assert written(app).get("images") == ("Blurred" if given == "Blurred" else None)


def test_an_image_in_the_address_that_is_not_in_the_run_is_said(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), run="adapter", image="s3://elsewhere/1.jpg")
    assert "The image s3://elsewhere/1.jpg is not in this run." in shown(app)
    app.radio(key="shape").set_value("At or above").run()
    assert "image" not in app.query_params


@pytest.mark.parametrize(("name", "asked"), [("from", "3"), ("from", "x"), ("to", "101"), ("to", "nan")])
def test_one_end_of_a_range_that_cannot_be_had_is_said(workspace, open_app: Open, name: str, asked: str):
    app = open_app("--dir", str(workspace.folder), run="adapter", **{name: asked})
    end = "lowest" if name == "from" else "highest"
    assert f"asks for {asked} as the {end} confidence; it can be a number from 50 to 100. Shown instead: " in shown(app)
    assert "asks for" not in shown(open_app("--dir", str(workspace.folder), run="adapter", **{name: "60"}))
