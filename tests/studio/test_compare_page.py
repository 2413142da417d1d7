"""The Compare page: two runs, what changed, and trying an image on both models."""

import re

import pytest
from playwright.sync_api import expect

import toolkit as tk
from tests.studio.conftest import Open, is_gambling, picture, score
from tests.studio.test_pages import counts, shown
from toolkit.errors import UnreadableImage
from toolkit.studio import compare


@pytest.fixture
def comparison(workspace: tk.Workspace) -> tk.Comparison:
    samples = workspace.samples()
    assert samples is not None
    return tk.compare(workspace.results("base"), workspace.results("adapter"), samples, "Gambling", (50.0, 73.0))


def test_what_the_page_says_is_what_the_library_compared(workspace, open_app: Open, comparison):
    address = {"base": "base", "candidate": "adapter", "label": "Gambling", "base_at": "50", "candidate_at": "73"}
    app = open_app("--dir", str(workspace.folder), "--page", "compare", **address)
    assert not app.exception
    assert not app.error
    found = sum(score(number) >= 73 and is_gambling(number) for number in range(40))
    wrong = sum(score(number) >= 73 and not is_gambling(number) for number in range(40))
    positives = sum(map(is_gambling, range(40)))
    sentence = f"The candidate finds {found} of {positives} Gambling images, the base 0; it flags {wrong} wrongly"
    assert sentence in re.sub(r"\\(.)", r"\1", app.subheader[0].value)
    captions = " ".join(caption.value for caption in app.caption)
    assert compare.verdict(comparison) in captions
    assert f"Images that only one flags: {len(comparison.flips)}" in [heading.value for heading in app.subheader]


def test_the_runs_are_chosen_by_themselves_and_stand_in_the_address(workspace, open_app: Open):
    workspace = tk.Workspace(
        workspace.folder,
        {"x": workspace.runs["base"], "y": tk.Run("runs/adapter/results.jsonl", 50.0, "1", "arn:adapter")},
        workspace.truth,
        workspace.images,
    )
    workspace.save()
    app = open_app("--dir", str(workspace.folder), "--page", "compare", label="Gambling")
    assert (app.selectbox(key="base").value, app.selectbox(key="candidate").value) == ("x", "y")
    assert (app.query_params["base"], app.query_params["candidate"]) == ("x", "y")
    app.selectbox(key="candidate").select("x").run()
    assert "These are one run" in shown(app)


def test_the_presentation_has_no_controls(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "compare", label="Gambling", present="1")
    assert not app.exception
    assert "The candidate finds" in app.title[0].value
    assert [box.label for box in app.main.selectbox] == []
    assert [button.label for button in app.main.button] == ["Leave the presentation"]
    assert set(counts(app)) == {"Precision", "Recall"}


def test_without_samples_or_a_second_run_the_page_says_what_to_do(workspace, open_app: Open):
    alone = tk.Workspace(workspace.folder, {"base": workspace.runs["base"]}, workspace.truth, workspace.images)
    alone.save()
    assert "There is one run only" in shown(open_app("--dir", str(workspace.folder), "--page", "compare"))
    tk.Workspace(workspace.folder, workspace.runs, None, workspace.images).save()
    assert "no labelled samples" in shown(open_app("--dir", str(workspace.folder), "--page", "compare"))


def test_an_image_is_tried_on_the_real_model(workspace, open_app: Open, endpoint):
    app = open_app("--dir", str(workspace.folder), "--page", "compare", "--endpoint", endpoint, label="Gambling")
    app.file_uploader(key="try").upload("mine.jpg", picture(3)).run()
    assert not app.error
    expected = tk.moderate(picture(3), min_confidence=50, session=tk.connect(endpoint))
    assert expected.n_images == 1
    said = [text.value for text in app.markdown if "so \\*\\*" in text.value or "so **" in text.value]
    assert len(said) == 2
    assert all("not reported" in each for each in said) == ("Gambling" not in expected.label_names())
    app.file_uploader(key="try").upload("mine.jpg", b"no image").run()
    assert "cannot be analyzed" in shown(app)


def test_one_image_is_a_run_of_one_and_what_is_against_the_limits_is_refused(endpoint):
    session = tk.connect(endpoint)
    found = tk.moderate(picture(1), min_confidence=0, session=session)
    assert (found.n_images, found.min_confidence) == (1, 0)
    answer = session.client("rekognition").detect_moderation_labels(Image={"Bytes": picture(1)}, MinConfidence=0)
    assert sorted(found.labels["name"]) == sorted(label["Name"] for label in answer["ModerationLabels"])
    with pytest.raises(UnreadableImage, match="cannot be analyzed"):
        tk.moderate(b"nothing", session=session)


def test_an_evaluation_that_is_none_is_one_sentence(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "compare", label="Gambling")
    box = next(box for box in app.text_input if box.label.startswith("Path or S3 URI of the evaluation"))
    box.set_value(str(workspace.folder / "workspace.json")).run()
    assert "workspace.json" in shown(app)
    assert not app.exception


def test_the_address_is_what_a_colleague_sees(open_page):
    seen = open_page("/compare?base=base&candidate=adapter&label=Gambling", viewport={"width": 1440, "height": 1700})
    page = seen.page
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    page.get_by_role("spinbutton", name="Threshold of adapter (%)").fill("73")
    page.get_by_role("spinbutton", name="Threshold of adapter (%)").press("Enter")
    expect(page).to_have_url(re.compile("candidate_at=73"))
    seen.settle()
    said = page.get_by_role("heading", name="The candidate finds").inner_text()
    seen.settle()
    seen.see_pictures()
    page.get_by_role("button", name="Show it to a room").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(said)
    expect(page.get_by_test_id("stSidebar")).not_to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text(said)
    page.get_by_role("button", name="Leave the presentation").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    seen.settle()
    seen.see_pictures()


def test_samples_with_weights_say_what_to_do_and_still_show_the_curves(workspace, open_app: Open):
    samples = workspace.samples()
    assert samples is not None
    table = samples.table.assign(weight=[1.0 + number % 2 for number in range(len(samples.table) // 2)] * 2)
    table.astype({"present": int}).to_csv(workspace.folder / "test.csv", index=False)
    app = open_app("--dir", str(workspace.folder), "--page", "compare", label="Gambling")
    assert not app.error
    assert "label images with the strategy **uniform** on the [Label page](label?strategy=uniform" in shown(app)
    assert len(app.get("plotly_chart")) == 1
    assert counts(app)["Precision"]
