import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from weakseg.errors import ShapeError, StoreError
from weakseg.report import Card, Chart, FailedImage, KeyFigure, Panel, Report, Table, render, save
from weakseg.report.model import PictureTable

HOSTILE = """"><script>alert(1)</script><img src=x onerror=alert(2)>' onmouseover='alert(3)"""
PANEL = Panel("photo", np.zeros((2, 3, 3), np.uint8))


class Elements(HTMLParser):
    """Every start tag with its attributes, and every text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def hostile_report(text: str) -> Report:
    return Report(
        title=text,
        subtitle=text,
        key_figures=(KeyFigure(text, text, text),),
        warnings=(text,),
        notes=(text,),
        tables=(Table(text, (text, text), ((text, text),), text),),
        charts=(Chart(text, {text: {text: 50.0}}, text),),
        groups=(PictureTable(text, (text, text), ((text, (PANEL.image, None)),), text),),
        groups_note=text,
        cards=(Card(text, (text,), (Panel(text, PANEL.image, "labels"),), 0.5, 0.5, text),),
        cards_note=text,
        legend={text: 1},
        failures=(FailedImage(text, text, text),),
        settings={text: {text: text}},
    )


def test_hostile_text_stays_text():
    plain, hostile = Elements(render(hostile_report("plain"))), Elements(render(hostile_report(HOSTILE)))
    assert [name for name, _ in hostile.tags] == [name for name, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in hostile.tags] == [
        sorted(attributes) for _, attributes in plain.tags
    ]
    assert hostile.named("article")[0]["data-id"] == HOSTILE
    assert any(HOSTILE in text for text in hostile.texts)


def test_pictures_of_groups_have_a_section_of_their_own(sample_report):
    plain = Elements(render(sample_report)).named("section")
    assert all(section["id"] != "groups" for section in plain)
    rows = (("photograph", (PANEL.image, PANEL.image)), ("attention", (None, PANEL.image)))
    page = Elements(render(replace(sample_report, groups=(PictureTable("g", ("a", "b"), rows, "half"),))))
    assert [section["id"] for section in page.named("section")].index("groups") == 2
    shown = [image["alt"] for image in page.named("img") if (image["alt"] or "").startswith(("a:", "b:"))]
    assert shown == ["a: photograph", "b: photograph", "b: attention"]
    assert "half" in page.texts


def test_nothing_points_outside(sample_report):
    page = render(sample_report)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert "url(http" not in page
    assert "@import" not in page
    for _, attributes in Elements(page).tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), attributes


def test_policy_forbids_everything_but_this_page(sample_report):
    elements = Elements(render(sample_report))
    policy = next(meta["content"] for meta in elements.named("meta") if meta.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not [attributes for _, attributes in elements.tags if "style" in attributes]
    assert not [name for _, attributes in elements.tags for name in attributes if name.startswith("on")]


def test_unknown_values_are_dashes_and_never_nan(sample_report):
    cards = (
        Card("a", (), (PANEL,), None, None),
        Card("b", (), (PANEL,), float("nan"), float("nan")),
        Card("c", (), (PANEL,), None, 0.25),
    )
    page = render(replace(sample_report, cards=cards, key_figures=(KeyFigure("mIoU", float("nan")),)))
    visible = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|NaN|None)\b", visible)
    articles = Elements(page).named("article")
    assert [article["data-id"] for article in articles] == ["c", "a", "b"]
    assert [article.get("data-reliability") for article in articles] == ["0.25", None, None]
    assert "data-iou" not in articles[0]
    assert 'value="iou-asc"' not in page


def test_cards_come_worst_first(sample_report):
    values = [float(card["data-iou"] or "") for card in Elements(render(sample_report)).named("article")]
    assert values == sorted(values)


def test_a_title_alone_is_a_page():
    elements = Elements(render(Report(title="empty")))
    assert not elements.named("section")
    assert not elements.named("dialog")
    assert not elements.named("svg")


def test_the_same_report_is_the_same_page(sample_report):
    assert render(sample_report) == render(sample_report)


def test_save_shows_the_extremes_and_says_so(tmp_path, make_cards, capsys):
    path = tmp_path / "deep" / "report.html"
    save(Report(title="r", cards=make_cards(40)), path, max_cards=9)
    page = path.read_text(encoding="utf-8")
    shown = [float(card["data-iou"] or "") for card in Elements(page).named("article")]
    assert shown[:3] == [0.0, 1 / 40, 2 / 40]
    assert shown[-3:] == [37 / 40, 38 / 40, 39 / 40]
    sentence = "showing 9 of 40: the worst 3, the best 3, and an even sample"
    assert sentence in page
    assert capsys.readouterr().out == f"{path}: {sentence}\n"
    with pytest.raises(ShapeError, match="max_cards"):
        save(Report(title="r", cards=make_cards(2)), path, max_cards=0)


def test_save_is_silent_when_all_are_shown(tmp_path, sample_report, capsys):
    save(sample_report, tmp_path / "report.html")
    assert capsys.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_names_that_are_no_unicode_can_be_saved(tmp_path):
    save(Report(title="r", cards=(Card("caf\udce9.jpg", (), (PANEL,)),)), tmp_path / "report.html")
    assert "caf?.jpg" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_save_names_the_file_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        save(Report(title="r"), tmp_path / "file" / "report.html")


def test_the_markup_of_a_card_is_light(make_cards):
    pages = [render(Report(title="r", cards=make_cards(count))) for count in (10, 20)]
    lengths = [len(re.sub(r"data:image[^\"]*", "", page)) for page in pages]
    assert (lengths[1] - lengths[0]) / 10 < 3000
