"""The threshold explorer: exact wherever the line can stand, and in a browser under a person's hand."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

import toolkit as tk
from tests.studio.conftest import Open, is_gambling, score
from tests.studio.pages import press, shown
from toolkit.errors import BelowFloor, InvalidArgument, NotFound
from toolkit.studio import policies
from toolkit.studio.threshold import Picked, known, take
from toolkit.widgets import explorer_data, pickable

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
scores = st.lists(
    st.tuples(st.none() | st.floats(20, 100, width=32) | st.sampled_from([20.0, 50.1, 99.99, 100.0]), st.booleans()),
    min_size=1,
    max_size=40,
)


def run(make, pairs, floor=20):
    results = make.results(*({} if each is None else {"Gambling": each} for each, _ in pairs), min_confidence=floor)
    truth = make.truth("Gambling", [present for _, present in pairs])
    return results, tk.threshold_curve(results, truth, "Gambling")


@given(scores, st.floats(20, 100))
@quick
def test_every_number_is_the_curves_at_every_threshold_that_can_be_picked(make, pairs, also):
    results, curve = run(make, pairs)
    data = explorer_data(curve, results, also=[also])
    assert np.float32(also) in np.float32(data["threshold"])
    for row in np.linspace(0, len(data["threshold"]) - 1, 25).astype(int):
        point = curve.at(data["threshold"][row])
        assert [data[name][row] for name in ("tp", "fp", "fn", "tn")] == [point.tp, point.fp, point.fn, point.tn]
        for rate in ("precision", "precision_low", "precision_high", "recall", "recall_low", "recall_high"):
            expected = getattr(point, rate)
            assert data[rate][row] == (None if math.isnan(expected) else pytest.approx(expected, abs=1e-8))
        flagged = np.mean(results.scores("Gambling") >= np.float32(point.threshold))
        assert data["flagged"][row] == pytest.approx(flagged, abs=1e-8)
        assert data["flagged_low"][row] <= data["flagged"][row] <= data["flagged_high"][row]


@given(st.floats(0, 99.99), st.lists(st.floats(0, 100), max_size=5))
def test_what_can_be_picked_begins_at_the_floor_ends_at_100_and_is_at_most_2000(floor, also):
    thresholds = pickable(floor, also)
    assert thresholds[0] == floor
    assert thresholds[-1] == 100
    assert len(thresholds) <= 2000
    assert (np.diff(thresholds.astype(np.float32)) > 0).all()


def test_a_run_that_reported_nothing_below_100_has_no_threshold_to_move(make):
    _, curve = run(make, [(100.0, True), (None, False)], floor=100)
    with pytest.raises(BelowFloor, match="no threshold to move"):
        explorer_data(curve)


@given(scores, st.lists(st.floats(20, 100), min_size=1, max_size=8, unique=True))
@quick
def test_many_thresholds_at_once_are_each_one(make, pairs, thresholds):
    _, curve = run(make, pairs)
    table = curve.at_each(sorted(thresholds))
    for threshold, row in zip(sorted(thresholds), table.itertuples(), strict=True):
        point = curve.at(threshold)
        assert (row.threshold, row.tp, row.fp, row.fn, row.tn) == (threshold, point.tp, point.fp, point.fn, point.tn)
        assert row.recall_low == pytest.approx(point.recall_low, nan_ok=True)


def test_thresholds_that_are_not_ascending_or_below_the_floor_are_refused(make):
    _, curve = run(make, [(50.0, True), (60.0, False)])
    for thresholds in ([60, 50], [50, 50], [50, float("nan")], [[50.0]]):
        with pytest.raises(InvalidArgument, match="ascending"):
            curve.at_each(thresholds)
    for thresholds in ([10, 50], [50, 101]):
        with pytest.raises(BelowFloor):
            curve.at_each(thresholds)


def test_a_widget_starts_at_the_choice_and_says_where_the_line_is(make):
    results, curve = run(make, [(50.0, True), (60.0, False), (70.0, True)])
    choice = tk.choose_threshold(curve, "recall>=0.9")
    widget = tk.widgets.threshold_explorer(curve, results, choice=choice)
    assert widget.threshold == choice.threshold
    widget.threshold = 65
    assert widget.picked["block"] == 65
    assert widget.review is None
    with pytest.raises(BelowFloor):
        widget.threshold = 5


def test_the_distribution_widget_has_every_label_and_redraws(make):
    results = make.results({"Gambling": 60.0}, {"Gambling": 70.0, "Violence": 80.0}, {})
    box = tk.widgets.distribution(results, make.truth("Gambling", [True, False, True]))
    chosen, figure = box.children
    assert set(chosen.options) == {"Gambling", "Violence"}
    assert "Gambling" in figure.layout.title.text
    chosen.value = "Violence"
    assert "Violence" in box.children[1].layout.title.text


def flagged(threshold: float) -> tuple[int, int]:
    """Rightly and wrongly flagged in the studio's sample."""
    hit = [number for number in range(40) if score(number) >= threshold]
    return sum(map(is_gambling, hit)), sum(not is_gambling(number) for number in hit)


def test_the_line_is_dragged_without_asking_and_lets_go_into_address_and_images(open_page):
    seen = open_page("/?label=Gambling", viewport={"width": 1440, "height": 1500})
    page = seen.page
    page.get_by_role("link", name="Tune").click()
    chart = page.locator(".mk-chart")
    chart.locator(".main-svg").first.wait_for()
    expect(page).to_have_url(re.compile("threshold="))
    seen.settle()
    before = page.url
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 150, steps=12)
    number = page.get_by_label("Threshold (%)", exact=True)
    expect(number).not_to_have_value("")
    at = float(number.input_value())
    assert 80 < at < 95
    right, wrong = flagged(at)
    expect(seen.count("Flagged, rightly")).to_have_text(str(right))
    expect(seen.count("Flagged, wrongly")).to_have_text(str(wrong))
    assert page.url == before
    page.mouse.up()
    expect(page).to_have_url(re.compile(rf"threshold={at:g}\b"))
    expect(page.get_by_role("heading", name=f"False positives: {wrong}")).to_be_visible()


def test_a_typed_threshold_a_review_band_and_a_volume_go_into_the_policy_and_are_found_again(open_page, demo):
    policy = demo.folder / "policy.json"
    policy.unlink(missing_ok=True)
    seen = open_page("/?label=Gambling", viewport={"width": 1440, "height": 2000})
    page = seen.page
    page.get_by_role("link", name="Tune").click()
    number = page.get_by_label("Threshold (%)", exact=True)
    number.fill("72.5")
    number.press("Enter")
    expect(seen.count("Flagged, rightly")).to_have_text(str(flagged(72.5)[0]))
    number.fill("74.98765")
    number.press("Enter")
    expect(page).to_have_url(re.compile(r"threshold=74\.98765"))
    expect(number).to_have_value("74.98765")
    expect(number).to_be_focused()
    expect(page.get_by_role("heading", name=f"False positives: {flagged(74.98765)[1]}")).to_be_visible()
    number.fill("")
    number.press("Enter")
    expect(number).to_have_value("74.98765")
    number.fill("3")
    number.press("Enter")
    expect(page.get_by_text("3 became 50, the nearest that can be had here.")).to_be_visible()
    number.fill("72.5")
    number.press("Enter")
    page.get_by_label("Review band below it").check()
    page.get_by_label("Review from (%)").fill("61.2")
    page.get_by_label("Review from (%)").press("Enter")
    page.get_by_label("Images a day").fill("2000")
    page.get_by_label("Images a day").press("Enter")
    expect(page).to_have_url(re.compile(r"volume=2000"))
    expect(page.get_by_text(f"Flags {2000 * sum(flagged(72.5)) // 40} a day (")).to_be_visible()
    page.get_by_role("button", name=re.compile("Put into the policy: block from 72.5, review from 61.2")).click()
    expect(page.get_by_text("The policy says: review from 61.2, block from 72.5.")).to_be_visible()
    page.get_by_role("tab", name="Policy").click()
    expect(seen.metric("Next MinConfidence")).to_have_text("61.2\xa0%")
    expect(page).to_have_url(re.compile("below=Policy"))
    rule = tk.Policy.load(policy).rules["Gambling"]
    assert (rule.review, rule.block) == (61.2, 72.5)
    assert json.loads(policy.read_text())["provenance"]["picked"]["Gambling"]["tp"] == flagged(72.5)[0]
    seen.settle()
    seen.see_pictures()
    page.reload()
    expect(page.get_by_label("Threshold (%)", exact=True)).to_have_value("72.5")
    expect(page.get_by_text("The policy says: review from 61.2, block from 72.5.")).to_be_visible()
    expect(seen.count("Flagged, rightly")).to_have_text(str(flagged(72.5)[0]))
    seen.settle()


def apart(page: Page) -> float:
    """Pixels from the slider's knob to the line above it."""
    return page.evaluate(
        """() => {
          const slider = document.querySelector('.mk-slider'), box = slider.getBoundingClientRect(), knob = 16;
          const share = (slider.value - slider.min) / (slider.max - slider.min);
          const line = document.querySelector('.mk-line:not(.mk-review)');
          const at = line.getBoundingClientRect();
          return Math.abs(box.left + knob / 2 + share * (box.width - knob) - (at.left + at.right) / 2);
        }"""
    )


def test_the_knob_stands_under_the_line_and_keys_go_from_one_threshold_to_the_next(open_page):
    seen = open_page("/?run=adapter&label=Gambling&threshold=95", viewport={"width": 1440, "height": 1500})
    page = seen.page
    page.get_by_role("link", name="Tune").click()
    page.locator(".mk-chart .main-svg").first.wait_for()
    slider = page.locator(".mk-slider")
    expect(slider).to_have_attribute("aria-valuetext", "95 %")
    assert apart(page) < 2
    legend, chart = page.locator(".mk-legend").bounding_box(), page.locator(".mk-line").last.bounding_box()
    assert legend["y"] + legend["height"] <= chart["y"]
    slider.focus()
    for key, at in (
        ("ArrowRight", 95.1), ("ArrowDown", 95), ("PageDown", 94), ("Home", 50), ("ArrowRight", 50.1), ("End", 100),
        ("ArrowLeft", 99.99),
    ):  # fmt: skip
        slider.press(key)
        expect(slider).to_have_attribute("aria-valuetext", f"{at} %")
        assert apart(page) < 2
    for view in ("90–100", "99–100"):
        page.get_by_role("button", name=view).click()
        assert apart(page) < 2
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "99 %")
    assert apart(page) < 2
    expect(page).to_have_url(re.compile(r"threshold=99\b"))


def test_mistakes_become_training_images_and_come_back_out(open_page, demo):
    training = demo.folder / "next-training.csv"
    training.unlink(missing_ok=True)
    seen = open_page("/?run=adapter&label=Gambling&threshold=73", viewport={"width": 1440, "height": 2000})
    page = seen.page
    page.get_by_role("link", name="Tune").click()
    right, wrong = flagged(73)
    missed = sum(map(is_gambling, range(40))) - right
    assert missed
    assert wrong
    send = page.get_by_role("button", name=f"Send {wrong + missed} to the next training")
    send.click()
    expect(page.get_by_role("button", name="All are training images already")).to_be_disabled()
    kept = tk.read_truth(training)
    gambling = kept.table[kept.table["label"] == "Gambling"]
    assert gambling["present"].value_counts().to_dict() == {False: wrong, True: missed}
    with page.expect_download() as download:
        page.get_by_role("button", name="Training manifest").click()
    lines = download.value.path().read_text().splitlines()
    assert [json.loads(line)["source-ref"] for line in lines] == kept.table["source_ref"].unique().tolist()
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(send).to_be_enabled()
    assert not training.exists()


TUNE = {"run": "adapter", "label": "Gambling"}
UNDO = "Undo the last change of the policy"


def put_in(app) -> None:
    next(button for button in app.button if button.label.startswith("Put into the policy")).click().run()


def test_an_undo_of_the_policy_leaves_what_a_colleague_has_changed(workspace, open_app: Open):
    file = workspace.path("policy.json")
    before = tk.Policy({}).with_rule("Gambling", tk.Rule(block=60.0), {"run": "old"})
    before.save(file)
    app = open_app("--dir", str(workspace.folder), "--page", "tune", threshold="70", **TUNE)
    put_in(app)
    tk.Policy.load(file).with_rule("Alcohol", tk.Rule(block=40.0)).save(file)
    press(app, UNDO)
    after = tk.Policy.load(file)
    assert {label: rule.block for label, rule in after.rules.items()} == {"Gambling": 60.0, "Alcohol": 40.0}
    assert after.provenance["picked"]["Gambling"] == before.provenance["picked"]["Gambling"]
    assert not any(button.label == UNDO for button in app.button)


def test_nothing_is_undone_where_a_colleague_has_changed_the_same_rule_since(workspace, open_app: Open):
    file = workspace.path("policy.json")
    app = open_app("--dir", str(workspace.folder), "--page", "tune", threshold="70", **TUNE)
    put_in(app)
    tk.Policy.load(file).with_rule("Gambling", tk.Rule(block=40.0)).save(file)
    app.run()
    assert not any(button.label == UNDO for button in app.button)
    assert any("changed again elsewhere" in caption.value for caption in app.caption)


@pytest.mark.parametrize("provenance", [{}, {"objectives": [{"label": "Gambling", "objective": "recall>=0.9"}]}])
def test_a_reverted_change_gives_the_policy_as_it_was(provenance):
    before = tk.Policy({"Gambling": tk.Rule(block=60.0), "Alcohol": tk.Rule(block=50.0)}, provenance)
    for after in (before.with_rule("Gambling", tk.Rule(block=70.0)), before.without("Gambling")):
        back = policies.Change("Gambling", before, after.rules.get("Gambling")).reverted(after)
        assert dict(back.rules) == dict(before.rules)
        assert back.provenance.get("objectives") == before.provenance.get("objectives")
        assert not back.provenance.get("picked")


def test_a_policy_that_cannot_be_written_leaves_the_page_and_nothing_to_undo(workspace, open_app: Open, monkeypatch):
    def refused(*_: object) -> None:
        raise NotFound("policy.json: cannot be written")

    monkeypatch.setattr(tk.Policy, "save", refused)
    app = open_app("--dir", str(workspace.folder), "--page", "tune", threshold="70", **TUNE)
    headings = [heading.value for heading in app.subheader]
    put_in(app)
    assert "cannot be written" in shown(app)
    assert [heading.value for heading in app.subheader] == headings
    assert not any(button.label == UNDO for button in app.button)


def test_an_undo_of_the_training_leaves_what_a_colleague_has_sent(workspace, open_app: Open):
    file = workspace.path("next-training.csv")
    app = open_app("--dir", str(workspace.folder), "--page", "tune", threshold="73", **TUNE)
    next(button for button in app.button if button.label.startswith("Send ")).click().run()
    theirs = "s3://elsewhere/theirs.jpg,Gambling,1"
    assert file.read_text().startswith("source_ref,label,present")
    file.write_text(file.read_text() + theirs + "\n")
    app.run().button(key="undo training").click().run()
    assert file.read_text().split() == ["source_ref,label,present", theirs]


def test_a_typed_threshold_between_those_in_the_browser_is_taken_exactly(monkeypatch):
    assert known(Picked(70.1, 60.0), [50.0, 60.0, 70.1])
    assert not known(Picked(70.12345), [50.0, 70.1, 70.2])
    assert not known(Picked(70.1, 60.05), [50.0, 60.0, 70.1])
    kept: dict[str, object] = {}
    monkeypatch.setattr("streamlit.session_state", kept)
    take("here", Picked(70.12345, start=3))
    assert kept == dict.fromkeys(("here", "start of here"), Picked(70.12345, start=4))


def test_an_emptied_number_of_images_a_day_is_none_given(open_page):
    seen = open_page("/tune?run=adapter&label=Gambling&volume=500", viewport={"width": 1440, "height": 1200})
    volume = seen.page.get_by_label("Images a day")
    expect(volume).to_have_value("500")
    volume.fill("")
    volume.press("Enter")
    expect(seen.page).not_to_have_url(re.compile("volume="))
    expect(volume).to_have_value("10000")
    expect(seen.page.locator(".mk-panel")).not_to_contain_text("Flags 0 a day")
    seen.settle()
    seen.see_pictures()


def test_where_nothing_is_counted_no_interval_is_named(open_page):
    seen = open_page("/tune?run=base&label=Gambling", viewport={"width": 1440, "height": 1200})
    expect(seen.page.locator(".mk-tile").first).to_contain_text("nothing to count")
    expect(seen.page.locator(".mk-tile").first).not_to_contain_text("interval")
    seen.settle()
    seen.see_pictures()


def test_a_suggestion_near_the_floor_is_not_written_over_the_axis(open_page):
    for objective, beside in (("recall>=0.99", "left"), ("precision>=0.9", "right")):
        label = "Violence" if beside == "left" else "Gambling"
        seen = open_page(
            f"/tune?run=adapter&label={label}&objective={objective}", viewport={"width": 1440, "height": 900}
        )
        chart, word = seen.page.locator(".mk-chart"), seen.page.locator(".mk-hint")
        chart.locator(".main-svg").first.wait_for()
        line = seen.page.locator(".mk-suggested").bounding_box()["x"]
        box = word.bounding_box()
        assert box["x"] >= chart.bounding_box()["x"] + 56
        assert (box["x"] > line) == (beside == "left")
        seen.see_pictures()
        seen.settle()
