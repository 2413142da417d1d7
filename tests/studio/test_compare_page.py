"""The Compare page: two runs, what changed, and trying an image on both models."""

import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

import toolkit as tk
from tests.studio.conftest import Open, is_gambling, picture, score, written
from tests.studio.pages import counts, open_manifest, press, shown
from toolkit import adapters, manifests, storage
from toolkit.errors import UnreadableImage
from toolkit.studio import compare, pictures, source


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
    assert (written(app)["base"], written(app)["candidate"]) == ("x", "y")
    app.selectbox(key="candidate").select("x").run()
    assert "These are one run" in shown(app)


def test_the_presentation_has_no_controls(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "compare", label="Gambling", present="1")
    assert not app.exception
    assert "The candidate finds" in app.title[0].value
    assert [box.label for box in app.main.selectbox] == []
    assert [button.label for button in app.main.button] == ["Leave the presentation"]
    assert not app.main.button_group
    assert set(counts(app)) == {"Precision", "Recall"}


def test_an_image_that_only_one_flags_stands_with_both_verdicts(workspace, open_app: Open, comparison):
    address = {"base": "base", "candidate": "adapter", "label": "Gambling", "base_at": "50", "candidate_at": "73"}
    for present in ({}, {"present": "1"}):
        app = open_app("--dir", str(workspace.folder), "--page", "compare", **address, **present)
        said = [each.value for each in app.markdown]
        first = comparison.flips.iloc[0]
        assert "Base  \n**not flagged**  \nnot reported" in said
        assert f"Candidate  \n**:material/flag: flagged**  \n{first['candidate']:.2f}" in said


def test_the_curves_of_a_presentation_are_large_and_on_the_first_screen(open_page):
    for width, height in ((1440, 900), (1024, 768)):
        address = "/compare?base=base&candidate=adapter&label=Gambling&present=1"
        seen = open_page(address, viewport={"width": width, "height": height})
        seen.page.locator(".js-plotly-plot .xtick text").first.wait_for()
        seen.see_pictures()
        box = seen.page.locator(".js-plotly-plot").bounding_box()
        assert box["y"] + box["height"] <= height
        sizes = seen.page.evaluate(
            "[...document.querySelectorAll('.xtick text, .ytick text, .xtitle, .legendtext, .annotation text')]"
            ".map(text => parseFloat(getComputedStyle(text).fontSize))"
        )
        assert min(sizes) >= 20


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


@pytest.fixture
def knocks(monkeypatch) -> Iterator[list[object]]:
    """Everything that asks for the way to AWS: credentials are there, and the only proxy is a door of ours."""
    asked: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as door:

        def open_and_shut() -> None:
            while True:
                try:
                    guest, _ = door.accept()
                except OSError:
                    return
                with guest:
                    asked.append(guest.recv(4096))

        threading.Thread(target=open_and_shut, daemon=True).start()
        url = f"http://127.0.0.1:{door.getsockname()[1]}"
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "of-somebody")
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield asked
        door.shutdown(socket.SHUT_RDWR)


def drop(app: AppTest, name: str, data: bytes) -> None:
    for box in app.main.file_uploader:
        box.upload(name, data).run()


def test_without_a_connection_an_image_goes_nowhere_and_the_local_service_is_offered(workspace, open_app: Open, knocks):
    app = open_app("--dir", str(workspace.folder), "--page", "compare", label="Gambling")
    drop(app, "mine.jpg", picture(3))
    assert knocks == []
    assert "nothing is sent to AWS unasked" in shown(app)
    app.default_timeout = 90
    press(app, "Start the local service")
    service = source.desk().service
    try:
        drop(app, "mine.jpg", picture(3))
        assert not app.error
        assert sum("so **" in text.value for text in app.markdown) == 2
        assert knocks == []
        service.stop()
        source.desk().service = None  # as after a restart of the studio
        assert "The local service has ended" in shown(app.run())
    finally:
        service.stop()


def test_pictures_are_not_fetched_from_aws_before_somebody_connects_to_it(workspace, open_app: Open, knocks, tmp_path):
    alone = tmp_path / "elsewhere.jsonl"
    alone.write_bytes(workspace.path("runs/adapter/results.jsonl").read_bytes().replace(b"demo-images", b"unknown"))
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    open_manifest(app, str(alone))
    assert not app.error
    view = source.View(source.desk().sources[str(alone)], *[None] * 5, ())
    assert pictures.tiles(view, ["s3://unknown/image-01.jpg"], blur=True) == ["no copy of this image here."]
    assert knocks == []
    source.desk().aws = True
    assert "unknown/image-01.jpg" in pictures.tiles(view, ["s3://unknown/image-01.jpg"], blur=True)[0]
    assert len(knocks) == 1


def test_an_image_goes_to_aws_only_after_a_click(workspace, open_app: Open, knocks):
    app = open_app("--dir", str(workspace.folder), "--page", "compare", label="Gambling")
    source.desk().aws = True
    app.run()
    drop(app, "mine.jpg", picture(3))
    assert "it goes to rekognition.eu-west-1.amazonaws.com. 2 images cost less than 0.01 USD" in shown(app)
    assert knocks == []
    press(app, "Send this image")
    assert [knock.split()[:2] for knock in knocks] == [[b"CONNECT", b"rekognition.eu-west-1.amazonaws.com:443"]] * 2
    drop(app, "other.jpg", picture(4))
    assert "this image leaves this machine" in shown(app)
    assert len(knocks) == 2


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


def test_the_evaluation_of_a_known_adapter_is_fetched_with_one_click(
    workspace, open_app: Open, endpoint, bucket, monkeypatch
):
    counted = {"Gambling": (manifests.Confusion(1, 2, 3, 4), manifests.Confusion(4, 3, 2, 1))}
    at = manifests.ThresholdEvaluation(50.0, counted)
    told = manifests.Evaluation(0.7, datetime.now(UTC), ("Gambling",), 10, 30, "arn:v1", at, (at,))
    storage.write(f"s3://{bucket}/evaluation.json", told.to_json(), session=tk.connect(endpoint))
    place = {"EvaluationResult": {"Summary": {"S3Object": {"Bucket": bucket, "Name": "evaluation.json"}}}}
    known = [adapters.Adapter(tk.connect(endpoint), "arn:p", arn, place) for arn in ("arn:v0", "arn:v1")]
    monkeypatch.setattr(adapters, "list_adapters", lambda _: iter(known))
    runs = {"base": workspace.runs["base"], "new": replace(workspace.runs["adapter"], project_version="arn:v1")}
    replace(workspace, runs=runs).save()
    app = open_app("--dir", str(workspace.folder), "--page", "compare", "--endpoint", endpoint, label="Gambling")
    press(app, "Fetch the evaluation of this adapter")
    assert not app.error
    row = app.dataframe[-1].value.iloc[0]
    assert (row["threshold"], row["base_fp"], row["adapter_fp"]) == (50, 3, 2)
    known.pop()
    press(app, "Fetch the evaluation of this adapter")
    assert "arn:v1: not an adapter of this connection" in shown(app)


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
    expect(page).to_have_url(re.compile("present=1"))
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
    assert any("are weighted" in caption.value for caption in app.caption)
    press(app, "Show it to a room")
    assert app.title[0].value.startswith("Gambling")
    room = open_app("--dir", str(workspace.folder), "--page", "compare", label="Gambling", present="1")
    assert len(room.title) == 1
    assert room.title[0].value.startswith("Gambling")
    assert not room.info
    assert counts(room)["Precision"]


def test_what_cannot_be_shown_to_a_room_is_the_page_with_a_way_on(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "compare", label="Drugs & Tobacco", present="1")
    assert app.title[0].value == "Compare"
    assert "Nobody has judged Drugs & Tobacco" in shown(app)
    assert not any(button.label == "Leave the presentation" for button in app.button)
    assert "present" not in written(app)


def test_the_verdict_counts_one_image(comparison):
    assert compare.verdict(replace(comparison, fixed=1)).startswith("1 judged image is decided right only by ")


def test_a_label_that_nobody_judged_leads_to_labelling_it(workspace, open_app: Open):
    for present in ({}, {"present": "1"}):
        app = open_app("--dir", str(workspace.folder), "--page", "compare", label="Pills", **present)
        assert not app.error
        assert "Nobody has judged Pills on images of adapter and base: label some" in shown(app)
        (way,) = [each.proto for each in app.get("page_link") if each.proto.page == "label"]
        assert way.query_string == "label=Pills"


def test_a_run_in_the_address_that_is_not_here_is_said(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "compare", label="Gambling", base="june")
    assert "Base june is not open here" in shown(app)
    assert "Shown instead: adapter." in shown(app)
    app.selectbox(key="base").select("base").run()
    assert "june" not in shown(app)


def test_an_image_that_is_cut_off_is_said_once(workspace, open_app: Open, endpoint):
    app = open_app("--dir", str(workspace.folder), "--page", "compare", "--endpoint", endpoint, label="Gambling")
    whole = picture(3)
    app.file_uploader(key="try").upload("mine.jpg", whole[: len(whole) // 2]).run()
    assert len(app.error) == 1


def test_a_presentation_begins_at_its_top(open_page):
    seen = open_page("/compare?base=base&candidate=adapter&label=Gambling", viewport={"width": 1440, "height": 700})
    page = seen.page
    button = page.get_by_role("button", name="Show it to a room")
    button.scroll_into_view_if_needed()
    page.mouse.move(900, 400)
    page.mouse.wheel(0, 300)
    seen.settle()
    seen.see_pictures()
    where = "document.querySelector('[data-testid=stMain]').scrollTop"
    assert page.evaluate(where) > 0
    button.click()
    expect(page.get_by_role("button", name="Leave the presentation")).to_be_visible()
    page.wait_for_function(f"{where} === 0")
    seen.settle()
    seen.see_pictures()


def test_a_label_on_no_judged_image_is_said_and_what_is_flagged_wrongly_is_counted(workspace, open_app: Open):
    path = workspace.folder / "test.csv"
    path.write_text(re.sub(",Gambling,1", ",Gambling,0", path.read_text()))
    address = {"base": "base", "candidate": "adapter", "label": "Gambling", "base_at": "50", "candidate_at": "73"}
    for present in ({}, {"present": "1"}):
        app = open_app("--dir", str(workspace.folder), "--page", "compare", **address, **present)
        assert not app.error
        assert app.title[0].value == "Compare"
        assert "Gambling is on none of the judged images" in shown(app)
        wrong = [metric.value for metric in app.metric if metric.label == "Flagged wrongly"]
        assert wrong == ["0", str(sum(score(number) >= 73 for number in range(40)))]
        assert not any(button.label == "Show it to a room" for button in app.button)
    report = open_app("--dir", str(workspace.folder), "--page", "report", label="Gambling")
    assert not report.checkbox


def test_a_threshold_in_the_address_that_cannot_be_had_is_said(workspace, open_app: Open):
    address = {"label": "Gambling", "base": "base", "candidate": "adapter", "base_at": "99999", "candidate_at": "x"}
    app = open_app("--dir", str(workspace.folder), "--page", "compare", **address)
    assert "asks for 99999 as the threshold of base; it can be a number from 50 to 100. Shown instead: 50." in shown(
        app
    )
    assert "asks for x as the threshold of adapter; " in shown(app)
    address |= {"base_at": "60", "candidate_at": "70"}
    assert "asks for" not in shown(open_app("--dir", str(workspace.folder), "--page", "compare", **address))
