"""The page in a real browser, opened from disk; any request beyond the file itself fails the test."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weakseg.report import Card, Report, save
from weakseg.report.model import Panel

SHOWN = "[...document.querySelectorAll('.card')].filter(card => card.checkVisibility()).map(card => card.dataset.id)"


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a file; afterwards, fail on foreign requests, console errors and script errors."""
    complaints: list[str] = []
    contexts = []

    def check_request(request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            complaints.append(f"request: {request.url}")

    def check_message(message: Any) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"console: {message.text}")

    def open_file(path: Path, fragment: str = "", **options: Any) -> Any:
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("request", check_request)
        page.on("console", check_message)
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.goto(path.as_uri() + fragment)
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def path(tmp_path: Path, sample_report: Report) -> Path:
    file = tmp_path / "report.html"
    save(sample_report, file)
    return file


@pytest.fixture
def page(open_page: Callable[..., Any], path: Path) -> Any:
    return open_page(path)


def names(cards: tuple[Card, ...], measure: str, *, reverse: bool = False) -> list[str]:
    return [card.image_id for card in sorted(cards, key=lambda card: getattr(card, measure), reverse=reverse)]


def until(page: Any, is_so: str) -> None:
    """Wait for what a script says; the policy of the page lets no text be evaluated within it."""
    end = time.monotonic() + 30
    while not page.evaluate(is_so):
        assert time.monotonic() < end, is_so
        page.wait_for_timeout(20)


def test_every_shown_image_is_decoded(page):
    for element in page.locator("img").all():
        element.scroll_into_view_if_needed()
    until(page, "[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.locator(".card img").count() == 48


def test_the_chart_is_drawn_and_described(page):
    chart = page.get_by_role("img", name="IoU per class")
    assert chart.locator("rect").count() == 4
    assert chart.locator(".value").all_text_contents() == ["40.0", "55.5", "–", "61.0"]
    widths = [element.bounding_box()["width"] for element in chart.locator("rect").all()]
    assert widths[1] / widths[0] == pytest.approx(55.5 / 40.0, rel=0.02)
    assert "dog, masks: 61.0" in chart.locator("desc").text_content()


def test_first_view_is_worst_first(page, sample_report):
    assert page.evaluate(SHOWN) == names(sample_report.cards, "iou")
    assert page.text_content("#status") == "12 images"


@pytest.mark.parametrize(
    ("key", "measure", "reverse"),
    [("iou-desc", "iou", True), ("reliability-asc", "reliability", False), ("reliability-desc", "reliability", True)],
)
def test_sorting(page, sample_report, key, measure, reverse):
    page.select_option("#sort", key)
    assert page.evaluate(SHOWN) == names(sample_report.cards, measure, reverse=reverse)
    assert page.evaluate("location.hash") == f"#sort={key}"


def test_names_sort_by_number(page):
    page.select_option("#sort", "name")
    assert page.evaluate(SHOWN) == [f"img_{index}" for index in range(12)]


def test_class_chips_narrow_the_gallery(page):
    page.locator(".chip[data-class=cat]").click()
    assert set(page.evaluate(SHOWN)) == {f"img_{index}" for index in (0, 2, 4, 6, 8, 10)}
    page.locator(".chip[data-class=dog]").click()
    assert set(page.evaluate(SHOWN)) == {f"img_{index}" for index in (2, 6, 10)}
    assert page.text_content("#status") == "3 of 12 images"
    assert page.locator(".chip[data-class=sheep]").is_disabled()
    assert page.locator(".chip[data-class=cat]").get_attribute("aria-pressed") == "true"
    page.click("#reset")
    assert len(page.evaluate(SHOWN)) == 12
    assert page.evaluate("location.hash") == ""


def test_doubtful_masks_alone_and_those_to_trust(page, sample_report):
    for choice, wanted in (("doubtful", lambda value: value < 0.5), ("trusted", lambda value: value >= 0.5)):
        page.select_option("#show", choice)
        assert set(page.evaluate(SHOWN)) == {c.image_id for c in sample_report.cards if wanted(c.reliability)}
        assert page.evaluate("location.hash") == f"#show={choice}"
        assert page.text_content("#status") == "6 of 12 images"
    page.click("#reset")
    assert len(page.evaluate(SHOWN)) == 12 and page.evaluate("location.hash") == ""


def test_masks_are_accepted_and_rejected_and_the_list_is_saved(page, path, sample_report):
    first, second, third = names(sample_report.cards, "iou")[:3]
    page.locator(f".card[data-id={first}] [data-verdict=accepted]").click()
    page.locator(f".card[data-id={second}] .open").click()
    page.keyboard.press("r")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("a")
    assert page.text_content("#viewer-verdict") == "accepted"
    page.keyboard.press("A")  # taken back
    assert page.text_content("#viewer-verdict") == ""
    page.keyboard.press("z")
    assert page.locator("#viewer").evaluate("viewer => viewer.classList.contains('zoomed')")
    page.keyboard.press("Escape")
    page.locator("#viewer:not(.zoomed)").wait_for(state="attached")  # told after it has closed
    page.reload()  # it is kept
    for choice, expected in (("accepted", {first}), ("rejected", {second})):
        page.select_option("#show", choice)
        assert set(page.evaluate(SHOWN)) == expected
    page.select_option("#show", "open")
    assert third in page.evaluate(SHOWN) and len(page.evaluate(SHOWN)) == 10
    with page.expect_download() as saved:
        page.click("#verdicts")
    assert saved.value.suggested_filename == "checked.csv"
    rows = Path(saved.value.path()).read_text().splitlines()
    assert rows[0] == "image,verdict" and set(rows[1:]) == {f'"{first}",accepted', f'"{second}",rejected'}


def test_panels_fade_over_the_photograph(page):
    """Key and slider say how strongly; the photograph itself stays, and so does the choice on the next card."""
    page.locator(".card .open").first.click()
    strengths = "[...document.querySelectorAll('#viewer .panels img')].map(image => image.style.opacity)"
    before = page.evaluate(strengths)
    assert len(before) > 1 and set(before[1:]) == {"1"} and before[0] == ""
    page.keyboard.press("o")
    assert set(page.evaluate(strengths)[1:]) == {"0.5"}
    page.keyboard.press("ArrowRight")
    assert set(page.evaluate(strengths)[1:]) == {"0.5"} and page.evaluate(strengths)[0] == ""
    behind = page.evaluate("document.querySelector('#viewer .behind').style.backgroundImage")
    assert behind == f'url("{page.locator("#viewer .panels img").first.get_attribute("src")}")'
    page.fill("#strength", "0.25")
    assert set(page.evaluate(strengths)[1:]) == {"0.25"}


def test_verdicts_are_of_these_masks_alone(open_page, path, sample_report):
    first = names(sample_report.cards, "iou")[0]
    page = open_page(path)
    page.locator(f".card[data-id={first}] [data-verdict=rejected]").click()
    photo = Panel("photo", np.zeros((4, 4, 3), np.uint8))
    cards = tuple(replace(card, panels=(photo, *card.panels[1:])) for card in sample_report.cards)
    save(replace(sample_report, cards=cards), path)
    page.reload()
    assert page.locator("[aria-pressed=true]").count() == 0 and not page.locator("#verdicts").is_visible()
    save(replace(sample_report, cards=tuple(replace(card, judged=False) for card in cards)), path)
    page.reload()
    assert page.locator("[data-verdict]").count() == 0 and page.locator("#show option").count() == 3


def test_search(page):
    page.fill("#query", "IMG_1")
    assert set(page.evaluate(SHOWN)) == {"img_1", "img_10", "img_11"}
    page.fill("#query", "absent")
    assert page.evaluate(SHOWN) == []
    page.click("#reset-empty")
    assert len(page.evaluate(SHOWN)) == 12


def test_a_card_is_enlarged_and_left_by_keys(page, sample_report):
    order = names(sample_report.cards, "iou")
    page.locator(f".card[data-id={order[1]}]").click()  # its middle: the pictures
    viewer = page.get_by_role("dialog")
    assert viewer.get_by_role("heading").text_content() == order[1]
    assert viewer.locator("img").count() == 4
    until(page, "[...document.querySelectorAll('#viewer img')].every(image => image.naturalWidth > 0)")
    assert page.text_content("#viewer-position") == "2 of 12"
    page.keyboard.press("ArrowRight")
    assert page.text_content("#viewer-title") == order[2]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.text_content("#viewer-title") == order[0]
    assert page.locator("#previous").is_disabled()
    page.keyboard.press("End")
    assert page.text_content("#viewer-title") == order[-1]
    page.keyboard.press("Escape")
    viewer.wait_for(state="hidden")
    until(page, f"document.activeElement.textContent === '{order[-1]}'")


def test_the_keyboard_alone_opens_a_card(page, sample_report):
    first = names(sample_report.cards, "iou")[0]
    page.locator(f".card[data-id={first}] .open").focus()
    page.keyboard.press("Enter")
    assert page.locator("#viewer").is_visible()
    assert page.text_content("#viewer-title") == first


def test_an_address_brings_the_view_back(open_page, path, sample_report):
    first = open_page(path)
    first.locator(".chip[data-class=dog]").click()
    first.fill("#query", "img")
    first.select_option("#sort", "iou-desc")
    first.locator(".card:visible .open").nth(1).click()
    address = first.evaluate("location.hash")
    second = open_page(path, address)
    expected = names(tuple(card for card in sample_report.cards if "dog" in card.class_names), "iou", reverse=True)
    assert second.evaluate(SHOWN) == first.evaluate(SHOWN) == expected
    assert second.text_content("#viewer-title") == expected[1]
    assert second.evaluate("location.hash") == address


def test_a_nonsense_address_does_no_harm(open_page, path):
    page = open_page(path, "#class=none&sort=__proto__&image=%3Cscript%3E&q=")
    assert len(page.evaluate(SHOWN)) == 12
    page.click("nav a[href='#failures']")
    assert len(page.evaluate(SHOWN)) == 12


def test_without_truth_reliability_ranks(open_page, tmp_path, make_cards):
    cards = make_cards(with_iou=False)
    save(Report(title="r", cards=cards), tmp_path / "plain.html")
    page = open_page(tmp_path / "plain.html")
    assert page.evaluate(SHOWN) == names(cards, "reliability")
    assert page.locator("#sort option").count() == 3


@pytest.mark.parametrize("hostile", ['"><script>throw 1</script>', "a'b\"c&amp;<d>", "#%=&+ ü", "</script>"])
def test_hostile_names_are_filtered_and_opened(open_page, tmp_path, make_cards, hostile):
    template = make_cards(2)
    cards = (Card(hostile, (hostile,), template[0].panels, 0.5), Card("other", ("cat",), template[0].panels, 0.1))
    save(Report(title=hostile, cards=cards, legend={hostile: 1}), tmp_path / "hostile.html")
    page = open_page(tmp_path / "hostile.html")
    page.locator(".chip").first.click()
    assert page.evaluate(SHOWN) == [hostile]
    page.locator(".open:visible").click()
    assert page.text_content("#viewer-title") == hostile
    again = open_page(tmp_path / "hostile.html", page.evaluate("location.hash"))
    assert again.evaluate(SHOWN) == [hostile]
    assert again.text_content("#viewer-title") == hostile


@pytest.mark.parametrize("options", [{"viewport": {"width": 360, "height": 740}}, {"color_scheme": "dark"}])
def test_phone_and_dark(open_page, path, options):
    page = open_page(path, **options)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert dark == ("color_scheme" in options)


def test_readable_without_scripts(open_page, path):
    page = open_page(path, java_script_enabled=False)
    assert page.locator(".card").count() == 12
    assert page.locator("#controls").is_hidden()


def test_print_opens_what_is_folded(page):
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.get_by_text("segment.epochs").is_visible()
    assert page.locator("#controls").is_hidden()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.get_by_text("segment.epochs").is_hidden()
