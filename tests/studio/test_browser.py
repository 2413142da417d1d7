"""The studio as a person meets it: a real process, a real browser."""

import re

import pytest
from playwright.sync_api import expect

import toolkit as tk
from tests.studio.conftest import ARTIFACTS, HOSTILE, is_gambling, picture, score
from toolkit.studio.pictures import SIZE, square


def flagged_wrongly(threshold: float) -> int:
    return sum(score(number) >= threshold and not is_gambling(number) for number in range(40))


def test_from_opening_to_blurred_pictures(open_page):
    seen = open_page(viewport={"width": 1440, "height": 1800})
    expect(seen.metric("Images analyzed")).to_have_text("40")
    expect(seen.metric("Failed")).to_have_text("2")

    seen.page.get_by_role("link", name="Tune").click()
    slider = seen.page.locator(".mk-slider")
    slider.focus()
    slider.press("Home")
    expect(seen.count("Flagged, wrongly")).to_have_text(str(flagged_wrongly(50)))
    for _ in range(3):
        slider.press("ArrowRight")
    expect(seen.page).to_have_url(re.compile(r"threshold=50\.3"))
    expect(seen.count("Flagged, wrongly")).to_have_text(str(flagged_wrongly(50.3)))
    assert flagged_wrongly(50.3) < flagged_wrongly(50)

    seen.page.get_by_role("link", name="Explore").click()
    expect(seen.metric("Images analyzed")).to_have_text("40")
    seen.page.get_by_role("link", name="Tune").click()
    expect(slider).to_have_attribute("aria-valuetext", "50.3 %")

    first = seen.page.get_by_test_id("stImage").first.locator("img")
    expect(first).to_be_visible()
    everything = [picture(number) for number in range(40)]
    blurred = {square(tk.thumbnail(data, SIZE, blur=True)) for data in everything}
    sharp = {square(tk.thumbnail(data, SIZE)) for data in everything}
    seen.wait_for_picture(sharp)
    expect(first).to_have_css("filter", "blur(18px)")
    first.hover()
    expect(first).to_have_css("filter", "none")
    before = first.get_attribute("src")
    seen.page.get_by_role("radio", name="Blurred").click()
    expect(first).not_to_have_attribute("src", before)
    seen.wait_for_picture(blurred)
    seen.page.get_by_role("link", name="Explore").click()
    expect(seen.page.get_by_role("radio", name="Blurred")).to_be_checked()


def test_a_reload_shows_the_same(open_page):
    seen = open_page("/?run=adapter&label=Violence")
    seen.page.get_by_role("link", name="Tune").click()
    slider = seen.page.locator(".mk-slider")
    slider.focus()
    slider.press("End")
    expect(seen.page).to_have_url(re.compile("threshold=100"))
    seen.page.reload()
    expect(seen.page.get_by_role("slider")).to_have_attribute("aria-valuetext", "100 %")
    expect(seen.page.get_by_role("combobox", name="Label")).to_have_value("Violence")


def test_text_from_outside_means_nothing(open_page):
    seen = open_page("/?label=Gambling", viewport={"width": 1024, "height": 2400})
    seen.page.get_by_role("link", name="Tune").click()
    expect(seen.page.get_by_text("Each run at its own suggestion")).to_be_visible()
    box = seen.page.get_by_test_id("stMarkdown").filter(has_text="onerror")
    assert box.first.inner_text().replace("\u2060", "") == HOSTILE
    assert seen.page.locator("[data-testid=stMain] a, [data-testid=stMain] img[src=x], .katex").count() == 0
    seen.settle()
    seen.see_pictures()
    seen.page.get_by_role("link", name="Runs").click()
    seen.page.get_by_role("textbox", name="Path or S3 URI").first.fill(HOSTILE)
    seen.page.get_by_role("button", name="Open", exact=True).last.click()
    alert = seen.page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("no such file")
    assert HOSTILE in alert.inner_text().replace("\u2060", "")
    assert alert.locator("a, img, em, strong, code").count() == 0


@pytest.mark.parametrize("width", [1440, 1024])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_screenshots(open_page, width, theme):
    ARTIFACTS.mkdir(exist_ok=True)
    seen = open_page(
        "/?run=adapter&label=Gambling&threshold=73", viewport={"width": width, "height": 1700}, color_scheme=theme
    )
    seen.page.locator(".js-plotly-plot .main-svg").first.wait_for()
    for name in ("Explore", "Label", "Tune", "Compare", "Report", "Runs"):
        seen.page.get_by_role("link", name=name).click()
        expect(seen.page.get_by_role("heading", level=1)).to_have_text(name)
        seen.settle()
        if name == "Tune":
            expect(seen.count("Flagged, wrongly")).to_have_text(str(flagged_wrongly(73)))
        if name == "Runs":
            expect(seen.page.get_by_role("button", name="Upload", exact=True).last).to_be_visible()
        seen.see_pictures()
        assert seen.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        seen.page.screenshot(path=ARTIFACTS / f"studio-{name.lower()}-{width}-{theme}.png")


def test_back_and_forward_go_through_what_was_done_one_thing_at_a_time(open_page):
    seen = open_page("/tune?run=adapter&label=Gambling&threshold=73", viewport={"width": 1440, "height": 1800})
    page, slider = seen.page, seen.page.locator(".mk-slider")
    expect(slider).to_have_attribute("aria-valuetext", "73 %")
    seen.settle()
    seen.see_pictures()
    length = page.evaluate("history.length")

    def done(address: str) -> None:
        expect(page).to_have_url(re.compile(address))
        seen.settle()
        seen.see_pictures()

    slider.focus()
    slider.press("End")
    done("threshold=100")
    page.get_by_role("tab", name="Policy").click()
    done("below=Policy")
    assert page.evaluate("history.length") == length + 2
    page.go_back()
    done("threshold=100$")
    expect(page.get_by_role("tab", name="Mistakes")).to_have_attribute("aria-selected", "true")
    page.go_back()
    done("threshold=73")
    expect(slider).to_have_attribute("aria-valuetext", "73 %")
    expect(seen.count("Flagged, wrongly")).to_have_text(str(flagged_wrongly(73)))
    page.go_forward()
    done("threshold=100$")
    expect(slider).to_have_attribute("aria-valuetext", "100 %")
    page.get_by_text("Review band below it").click()
    done("threshold=100&review=75$")
    volume = page.get_by_label("Images a day")
    volume.fill("500")
    volume.press("Enter")
    done("volume=500")
    page.go_back()
    done("review=75$")
    expect(volume).to_have_value("10000")
    page.get_by_role("combobox", name="Label").fill("Violence")
    page.keyboard.press("Enter")
    done("label=Violence")
    page.go_back()
    done("label=Gambling")
    expect(page.get_by_role("combobox", name="Label")).to_have_value("Gambling")
    expect(page.get_by_label("Review from (%)").filter(visible=True)).to_have_value("75")
    expect(slider).to_have_count(1)  # the other label's is gone
    expect(slider).to_have_attribute("aria-valuetext", "100 %")
    seen.settle()
    seen.see_pictures()


def test_each_page_is_one_step_of_back_and_the_first_step_leaves(open_page):
    seen = open_page("/", viewport={"width": 1440, "height": 1800})
    page = seen.page

    def at(address: str) -> None:
        expect(page).to_have_url(re.compile(address))
        seen.settle()
        seen.see_pictures()

    at(r"/\?run=adapter&label=Gambling$")
    page.get_by_text("At or above", exact=True).click()
    at("shape=At")
    length = page.evaluate("history.length")
    page.get_by_role("link", name="Tune").click()
    at(r"/tune\?run=adapter&label=Gambling&threshold=")
    page.get_by_role("link", name="Explore").click()
    at(r"/\?run=adapter&label=Gambling&shape=At")
    expect(page.get_by_role("radio", name="At or above")).to_be_checked()
    assert page.evaluate("history.length") == length + 2
    page.go_back()
    at(r"/tune\?run=adapter&label=Gambling&threshold=")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tune")
    page.go_back()
    at("shape=At")
    page.go_back()
    at("label=Gambling$")
    expect(page.get_by_role("radio", name="Histogram")).to_be_checked()
    page.go_back()
    expect(page).to_have_url("about:blank")


def test_back_from_tuning_with_labels_shows_the_same_images(open_page):
    seen = open_page("/label?run=adapter&label=Gambling&strategy=confidence&n=20")
    page = seen.page
    page.get_by_role("textbox", name="Your name").fill("zoe")
    page.get_by_role("textbox", name="Your name").press("Enter")
    page.get_by_role("button", name="Present (P)").click()
    expect(page.get_by_text("1 of 20 judged")).to_be_visible()
    length = page.evaluate("history.length")
    page.get_by_role("button", name="Tune with these").click()
    expect(page).to_have_url(re.compile(r"/tune\?run=adapter&label=Gambling&threshold="))
    assert page.evaluate("history.length") == length + 1
    seen.settle()
    seen.see_pictures()
    page.go_back()
    expect(page.get_by_text("1 of 20 judged")).to_be_visible()
    seen.settle()
    seen.see_pictures()


def test_what_an_address_named_in_vain_is_said_on_its_page_only(open_page):
    seen = open_page("/report?run=gone&label=Gambling")
    said = seen.page.get_by_text("is not open here; open it again on the Runs page")
    expect(said).to_be_visible()
    seen.page.get_by_role("link", name="Compare").click()
    expect(seen.page.get_by_role("heading", level=1)).to_have_text("Compare")
    seen.settle()
    expect(said).to_have_count(0)
    seen.see_pictures()


def test_where_there_is_no_room_beside_the_chart_the_numbers_stand_above_it(open_page):
    seen = open_page("/tune?run=adapter&label=Gambling", viewport={"width": 1024, "height": 900})
    numbers, chart = (seen.page.locator(name).bounding_box() for name in (".mk-panel", ".mk-chart"))
    assert numbers["y"] + numbers["height"] <= chart["y"]
    assert chart["width"] > 450
    seen.settle()
    seen.see_pictures()
