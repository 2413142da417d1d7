"""The Label page: ten images by keyboard, found again after a reload, used for tuning, taken out in every format."""

import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import expect

import toolkit as tk
from tests.studio.conftest import PREFIX, N, Open, is_gambling, written
from tests.studio.pages import field, press, shown
from toolkit.studio import exchange


def open_label(open_app: Open, workspace: tk.Workspace, **address: str):
    given = {"run": "adapter", "label": "Gambling", "strategy": "uniform", "n": "20"} | address
    return open_app("--dir", str(workspace.folder), "--page", "label", **given)


def test_nothing_is_judged_without_a_name(workspace, open_app: Open):
    app = open_label(open_app, workspace)
    assert "Type your name" in shown(app)
    assert not any(button.label.startswith("Present") for button in app.button)
    assert not (workspace.folder / "labels.jsonl").exists()


def test_two_people_label_the_same_images_and_their_agreement_is_shown(workspace, open_app: Open):
    app = open_label(open_app, workspace)
    log = tk.LabelLog(workspace.folder / "labels.jsonl")
    for who in ("ann", "bob"):
        field(app, "Your name").set_value(who).run()
        for number in range(6):
            answer = "present" if number < 3 or who == "bob" else "absent"
            press(app, f"{answer.capitalize()} ({answer[0].upper()})")
    assert not app.error
    judged = log.judgements("Gambling")
    assert set(judged.loc[judged["who"] == "ann", "source_ref"]) == set(
        judged.loc[judged["who"] == "bob", "source_ref"]
    )
    app.run()
    (pairs,) = [each.value for each in app.dataframe if "kappa" in each.value.columns]
    assert pairs["images"].tolist() == [6]
    assert pairs["kappa"].tolist() == pytest.approx(log.agreement("Gambling")["kappa"].tolist())


def test_who_sees_that_another_judges_otherwise_can_change_their_mind(workspace, open_app: Open):
    log = tk.LabelLog(workspace.folder / "labels.jsonl")
    app = open_label(open_app, workspace, who="ann")
    first = image(app)
    press(app, "Present (P)")
    source_ref = log.judgements()["source_ref"].iloc[0]
    log.add("bob", source_ref, "Gambling", "absent", sample="elsewhere")
    app.run()
    assert "Nobody knows what these show" in said(app)
    assert r"ann\: present" in said(app)
    assert r"bob\: absent" in said(app)
    assert log.truth("Gambling").n_images == 0
    press(app, "Mine: absent")
    assert "Nobody knows what these show" not in said(app)
    assert log.disputes("Gambling").empty
    press(app, "Undo (Z)")
    assert "Nobody knows what these show" in said(app)
    press(app, "Undo (Z)")
    assert image(app) == first


def test_a_label_that_no_model_reported_can_be_labelled(workspace, open_app: Open):
    app = open_label(open_app, workspace, label="Pills", who="ann")
    press(app, "Present (P)")
    assert not app.error
    assert tk.LabelLog(workspace.folder / "labels.jsonl").judgements("Pills")["answer"].tolist() == ["present"]


def test_an_undo_takes_back_and_a_skip_comes_last(workspace, open_app: Open):
    app = open_label(open_app, workspace)
    field(app, "Your name").set_value("ann").run()
    first = app.main.caption
    names = [caption.value for caption in first if "demo" in caption.value]
    press(app, "Present (P)")
    assert [caption.value for caption in app.main.caption if "demo" in caption.value] != names
    press(app, "Undo (Z)")
    assert [caption.value for caption in app.main.caption if "demo" in caption.value] == names
    press(app, "Skip (S)")
    assert [caption.value for caption in app.main.caption if "demo" in caption.value] != names
    for _ in range(19):
        press(app, "Absent (A)")
    assert [caption.value for caption in app.main.caption if "demo" in caption.value] == names
    press(app, "Absent (A)")
    assert "All of these images are judged" in shown(app)


def test_labels_from_a_file_are_taken_in_under_its_name(workspace, open_app: Open):
    app = open_label(open_app, workspace)
    app.file_uploader[0].upload("mine.csv", (workspace.folder / "test.csv").read_bytes())
    press(app, "Take in")
    assert not app.error
    judged = tk.LabelLog(workspace.folder / "labels.jsonl").judgements("Gambling", "file: mine.csv")
    assert len(judged) == N


def image(app) -> str:
    """The one that is asked about."""
    return next(caption.value for caption in app.main.caption if "demo" in caption.value)


def said(app) -> str:
    return " ".join(each.value for each in [*app.main.caption, *app.main.text])


def test_a_run_without_analyzed_images_has_nothing_to_label(workspace, open_app: Open):
    workspace.path("runs/adapter/results.jsonl").write_text("")
    app = open_label(open_app, workspace, who="ann")
    assert "analyzed no image" in shown(app)
    assert not app.error


def test_an_image_can_be_skipped_again_and_again(workspace, open_app: Open):
    app = open_label(open_app, workspace, n="3", who="ann")
    seen = []
    for _ in range(6):
        seen.append(image(app))
        press(app, "Skip (S)")
    assert len(set(seen)) == 3
    assert seen[:3] == seen[3:]


def test_an_undo_takes_back_the_last_thing_done_here_be_it_a_skip(workspace, open_app: Open):
    log = tk.LabelLog(workspace.folder / "labels.jsonl")
    app = open_label(open_app, workspace, who="ann")
    first = image(app)
    press(app, "Present (P)")
    second = image(app)
    press(app, "Skip (S)")
    press(app, "Undo (Z)")
    assert image(app) == second
    assert len(log.judgements()) == 1
    app.selectbox(key="label").select("Violence").run()
    press(app, "Undo (Z)")
    assert len(log.judgements()) == 1
    app.selectbox(key="label").select("Gambling").run()
    press(app, "Undo (Z)")
    assert image(app) == first
    assert log.judgements().empty


def test_csv_runs_no_formula():
    truth = tk.make_truth(pd.DataFrame({"source_ref": ["a"], "label": ['=HYPERLINK("http://b")'], "present": [1]}))
    rows = pd.read_csv(io.BytesIO(exchange._file(truth, "csv")))
    assert rows["label"].tolist() == ['\'=HYPERLINK("http://b")']
    assert rows["present"].tolist() == [1]
    assert pd.read_parquet(io.BytesIO(exchange._file(truth, "parquet")))["label"].tolist() == truth.labels


def test_labels_from_a_file_can_be_used_and_exported(workspace, open_app: Open):
    app = open_label(open_app, workspace, who="ann")
    app.file_uploader[0].upload("mine.csv", (workspace.folder / "test.csv").read_bytes())
    press(app, "Take in")
    present = sum(map(is_gambling, range(N)))
    assert f"{N} images known: {present} present, {N - present} absent." in said(app)
    assert [each.label for each in app.get("download_button")] == [
        "CSV", "Parquet", "SageMaker Ground Truth", "Adapter training manifest",
    ]  # fmt: skip
    press(app, "Present (P)")
    box = app.selectbox(key="judgements")
    assert len(box.options) == 2
    box.select_index(0).run()
    assert "1 image known: 1 present, 0 absent." in said(app)
    app.selectbox(key="judgements").select_index(1).run()
    press(app, "Tune with these")
    assert not app.error
    assert app.title[0].value == "Tune"
    assert tk.read_truth(workspace.folder / "labelled.csv").n_images == N
    assert tk.Workspace.load(workspace.folder).truth == "test.csv"  # what it had stays its own


def test_labels_become_the_samples_of_a_project_without_any(workspace, open_app: Open):
    replace(workspace, truth=None).save()
    app = open_label(open_app, workspace, who="ann")
    (workspace.folder / "labelled.csv").write_text("my own")
    # What another tab does meanwhile stays done; the Label page is drawn by itself, without the rest.
    exchange._save(tk.read_truth(workspace.folder / "test.csv"), replace(workspace, runs={}, truth=None))
    assert list(tk.Workspace.load(workspace.folder).runs) == list(workspace.runs)
    assert (workspace.folder / "labelled-1.csv").read_text() == "my own"
    for count in (1, 2):
        press(app, "Present (P)")
        press(app, "Tune with these")
        runs = open_app("--dir", str(workspace.folder), "--page", "runs")
        assert any(f"labelled.csv: {count} image" in text.value for text in runs.text)
        assert tk.Workspace.load(workspace.folder).samples().n_images == count
        app = open_label(open_app, workspace, who="ann")


def test_known_positives_are_of_this_run_agreed_and_also_from_the_samples(workspace, open_app: Open):
    present = [f"{PREFIX}image-{number:02}.jpg" for number in range(N) if is_gambling(number)]
    absent = f"{PREFIX}image-01.jpg"
    log = tk.LabelLog(workspace.folder / "labels.jsonl")
    log.add("ann", "s3://elsewhere/1.jpg", "Gambling", "present")
    log.add("ann", absent, "Gambling", "present")
    log.add("ann", present[0], "Gambling", "present")
    app = open_label(open_app, workspace)
    assert f"{len(present)} images of this run are known" in said(app)
    log.add("bob", present[0], "Gambling", "absent")
    app.run()
    assert f"{len(present) - 1} images of this run are known" in said(app)
    tk.Workspace(workspace.folder, workspace.runs, None, workspace.images).save()
    app.run()
    assert "1 image of this run is known" in said(app)


@pytest.mark.parametrize(
    ("near", "shows"), [("82.5", 82.5), ("0", 50), ("500", 100), ("nan", 80), ("soon", 80), ("1e1", 50)]
)
def test_the_threshold_in_the_address_is_any_number_from_the_floor_up(workspace, open_app: Open, near: str, shows):
    app = open_label(open_app, workspace, strategy="threshold", near=near)
    assert app.number_input(key="near").value == shows
    assert not app.error
    assert float(written(app)["near"]) == shows


def test_a_name_is_taken_from_a_link_and_not_put_into_one(workspace, open_app: Open):
    app = open_label(open_app, workspace)
    assert "who" not in app.query_params
    field(app, "Your name").set_value("ann").run()
    assert "who" not in app.query_params
    app = open_label(open_app, workspace, who="ann")
    assert field(app, "Your name").value == "ann"
    assert "who" not in written(app)


def test_no_fewer_images_can_be_asked_for_than_the_strategy_needs(workspace, open_app: Open):
    app = open_label(open_app, workspace, n="3", who="ann")
    assert app.number_input(key="n").value == 3
    app.selectbox(key="strategy").select("confidence").run()
    assert app.number_input(key="n").value == app.number_input(key="n").min == 11
    assert not app.error


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
    seen.settle()

    turns = iter(range(100))

    def listening() -> None:
        """Keys are not listened to before the question is there."""
        page.wait_for_selector(f"[data-turn='{next(turns)}']", state="attached")

    def press(key: str) -> None:
        listening()
        page.keyboard.press(key)

    for done in range(10):
        expect(page.get_by_text(f"{done} of 30 judged")).to_be_visible()
        press("p" if done % 2 else "a")
    expect(page.get_by_text("10 of 30 judged, 5 present")).to_be_visible()
    press("z")
    expect(page.get_by_text("9 of 30 judged, 4 present")).to_be_visible()
    expect(page.get_by_text("Taken back")).to_be_visible()
    expect(page.get_by_test_id("stImage").first.locator("img")).to_have_css("filter", "blur(18px)")
    press("u")
    expect(page.get_by_text("10 of 30 judged, 4 present")).to_be_visible()
    log = tk.LabelLog(kept)
    assert len(log.judgements("Gambling", "ann")) == 10
    assert len(kept.read_text().splitlines()) == 12
    press("a")
    page.keyboard.press("a")  # for the same image: says nothing about the next
    expect(page.get_by_text("11 of 30 judged, 4 present")).to_be_visible()
    listening()
    for _ in range(5):  # held: the browser repeats it
        page.keyboard.down("p")
    page.keyboard.up("p")
    expect(page.get_by_text("12 of 30 judged, 5 present")).to_be_visible()
    seen.settle()
    assert len(kept.read_text().splitlines()) == 14
    for left in ("11 of 30 judged, 4 present", "10 of 30 judged, 4 present"):
        press("z")
        expect(page.get_by_text(left)).to_be_visible()
    seen.settle()
    seen.see_pictures()
    page.reload()
    expect(page.get_by_label("Your name")).to_have_value("ann")
    assert "who=" not in page.url
    expect(page.get_by_text("10 of 30 judged, 4 present")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = pd.read_csv(io.BytesIO(download.value.path().read_bytes()))
    assert rows["present"].sum() == 4
    assert (rows["weight"] >= 1).all()
    page.get_by_role("button", name="Tune with these").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tune")
    expect(page.get_by_text("use these labels now")).to_be_visible()
    expect(page.locator(".mk-cell").filter(has_text="Missed")).to_be_visible()
    assert tk.read_truth(demo.folder / "labelled.csv").weights is not None
    seen.settle()
    seen.see_pictures()
    page.get_by_role("link", name="Runs").click()
    page.get_by_role("button", name="Back to the workspace's samples").click()
    expect(page.get_by_text("test.csv: 40 images")).to_be_visible()


def test_how_far_a_file_is_taken_in_is_shown(workspace, open_app: Open, monkeypatch):
    told: list[str] = []

    class Bar:
        def progress(self, share: float, text: str) -> None:
            assert 0 <= share <= 1
            told.append(text)

    app = open_label(open_app, workspace, who="ann")
    monkeypatch.setattr(exchange, "_STEP", N)
    monkeypatch.setattr(exchange.st, "progress", lambda _: Bar())
    app.file_uploader[0].upload("mine.csv", (workspace.folder / "test.csv").read_bytes())
    press(app, "Take in")
    assert told[:2] == [f"Taking in the labels: {done} of {2 * N}" for done in (0, N)]


def test_an_answer_has_the_log_read_once(workspace, open_app: Open, monkeypatch):
    app, reads, read = open_label(open_app, workspace, who="ann"), [], Path.read_bytes

    def counted(path: Path) -> bytes:
        reads.extend([path] if path.name == "labels.jsonl" else [])
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    press(app, "Present (P)")
    assert len(reads) == 1


def test_the_judgements_to_use_go_with_what_is_labelled_until_others_are_chosen(workspace, open_app: Open):
    app = open_label(open_app, workspace, strategy="confidence", who="ann")
    press(app, "Present (P)")
    app.selectbox(key="strategy").select("uniform").run()
    assert "1 image known: 1 present, 0 absent." in said(app)
    for _ in range(3):
        press(app, "Absent (A)")
    assert app.selectbox(key="judgements").value == "uniform, 20 images, seed 0"
    assert "3 images known: 0 present, 3 absent." in said(app)
    app.selectbox(key="judgements").select_index(1).run()
    press(app, "Absent (A)")
    assert app.selectbox(key="judgements").value == "confidence, 20 images, seed 0"
    press(app, "Tune with these")
    assert tk.read_truth(workspace.folder / "labelled.csv").n_images == 1
