"""The Label page: ten images by keyboard, found again after a reload, used for tuning, taken out in every format."""

import io

import pandas as pd
import pytest
from playwright.sync_api import expect

import toolkit as tk
from tests.studio.conftest import N, Open
from tests.studio.test_pages import field, press, shown


def open_label(open_app: Open, workspace: tk.Workspace, **address: str):
    given = {"run": "adapter", "label": "Gambling", "strategy": "uniform", "n": "20"} | address
    return open_app("--dir", str(workspace.folder), "--page", "label", **given)


def test_nothing_is_judged_without_a_name(workspace, open_app: Open):
    app = open_label(open_app, workspace)
    assert "Type your name" in shown(app)
    assert not any(button.key and button.key.startswith("answer") for button in app.button)
    assert not (workspace.folder / "labels.jsonl").exists()


def test_two_people_label_the_same_images_and_their_agreement_is_shown(workspace, open_app: Open):
    app = open_label(open_app, workspace)
    log = tk.LabelLog(workspace.folder / "labels.jsonl")
    for who in ("ann", "bob"):
        field(app, "Your name").set_value(who).run()
        for number in range(6):
            answer = "present" if number < 3 or who == "bob" else "absent"
            app.button(key=f"answer {answer}").click().run()
    assert not app.error
    judged = log.judgements("Gambling")
    assert set(judged.loc[judged["who"] == "ann", "source_ref"]) == set(
        judged.loc[judged["who"] == "bob", "source_ref"]
    )
    app.run()
    (pairs,) = [each.value for each in app.dataframe if "kappa" in each.value.columns]
    assert pairs["images"].tolist() == [6]
    assert pairs["kappa"].tolist() == pytest.approx(log.agreement("Gambling")["kappa"].tolist())


def test_an_undo_takes_back_and_a_skip_comes_last(workspace, open_app: Open):
    app = open_label(open_app, workspace)
    field(app, "Your name").set_value("ann").run()
    first = app.main.caption
    names = [caption.value for caption in first if "demo" in caption.value]
    app.button(key="answer present").click().run()
    assert [caption.value for caption in app.main.caption if "demo" in caption.value] != names
    press(app, "Undo")
    assert [caption.value for caption in app.main.caption if "demo" in caption.value] == names
    press(app, "Skip")
    assert [caption.value for caption in app.main.caption if "demo" in caption.value] != names
    for _ in range(19):
        app.button(key="answer absent").click().run()
    assert [caption.value for caption in app.main.caption if "demo" in caption.value] == names
    app.button(key="answer absent").click().run()
    assert "All of these images are judged" in shown(app)


def test_labels_from_a_file_are_taken_in_under_its_name(workspace, open_app: Open):
    app = open_label(open_app, workspace)
    app.file_uploader[0].upload("mine.csv", (workspace.folder / "test.csv").read_bytes())
    press(app, "Take in")
    assert not app.error
    judged = tk.LabelLog(workspace.folder / "labels.jsonl").judgements("Gambling", "file: mine.csv")
    assert len(judged) == N


def test_ten_images_by_keyboard_are_kept_used_and_exported(open_page, demo):
    kept = demo.folder / "labels.jsonl"
    kept.unlink(missing_ok=True)
    seen = open_page(
        "/label?run=adapter&label=Gambling&strategy=confidence&n=30", viewport={"width": 1440, "height": 1400}
    )
    page = seen.page
    page.get_by_label("Your name").fill("ann")
    page.get_by_label("Your name").press("Enter")
    expect(page.get_by_role("heading", name="Does it show Gambling?")).to_be_visible()
    page.get_by_role("heading", level=1).click()  # out of the text field
    seen.settle()
    page.wait_for_timeout(1000)  # until the keys are listened to
    for done in range(10):
        expect(page.get_by_text(f"{done} of 30 judged")).to_be_visible()
        page.keyboard.press("p" if done % 2 else "a")
    expect(page.get_by_text("10 of 30 judged, 5 present")).to_be_visible()
    page.keyboard.press("z")
    expect(page.get_by_text("9 of 30 judged, 4 present")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("10 of 30 judged, 4 present")).to_be_visible()
    log = tk.LabelLog(kept)
    assert len(log.judgements("Gambling", "ann")) == 10
    seen.settle()
    seen.see_pictures()
    page.reload()
    page.get_by_label("Your name").fill("ann")
    page.get_by_label("Your name").press("Enter")
    expect(page.get_by_text("10 of 30 judged, 4 present")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = pd.read_csv(io.BytesIO(download.value.path().read_bytes()))
    assert rows["present"].sum() == 4
    assert (rows["weight"] >= 1).all()
    page.get_by_role("button", name="Tune with these").click()
    expect(page.get_by_text("use these labels now")).to_be_visible()
    page.get_by_role("link", name="Tune").click()
    expect(page.locator(".mk-cell").filter(has_text="Missed")).to_be_visible()
    assert tk.read_truth(demo.folder / "labelled.csv").weights is not None
    seen.settle()
    seen.see_pictures()
    page.get_by_role("link", name="Runs").click()
    page.get_by_role("button", name="Back to the workspace's samples").click()
    expect(page.get_by_text("test.csv: 40 images")).to_be_visible()
