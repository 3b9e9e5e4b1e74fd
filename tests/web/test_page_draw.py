"""Drawing on the page in a real browser: marks, masks, undo, keys, fingers, tabs, and many photographs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from browsing import Tab, save_photograph
from served import serving

ON_CUP, TABLE = (55.0, 63.0), (10.0, 138.0)
CUP, SPOON = 1, 2


def test_a_box_gives_a_mask_within_it(tab):
    tab.press("b", "1", "l", "m")  # without outlines and marks, so that the mask alone is seen
    before = tab.picture()
    tab.drag((8, 15), (95, 120))
    tab.settle()
    (box,) = tab.record["boxes"]
    assert box["class"] == "cup" and tab.record["tags"] == ["cup"]
    np.testing.assert_allclose(box["rectangle"], (8, 15, 95, 120), atol=0.5)
    labels = tab.labels(100, 150)
    assert (labels == CUP).sum() > 500 and not labels[:, 122:].any() and not labels[:6].any()
    changed = np.abs(tab.picture() - before).max(axis=-1) > 8
    inside = labels == CUP
    assert changed[inside].mean() > 0.9 and changed[~inside].mean() < 0.1
    assert tab.get("mask")["by"] in ("a2gnn", "grabcut")


def test_points_and_strokes_of_object_and_background(tab):
    tab.press("c", "1")
    tab.click(ON_CUP)
    tab.click(TABLE, button="right")
    tab.settle()
    assert [point["class"] for point in tab.record["points"]] == ["cup", "background"]
    np.testing.assert_allclose([point["position"] for point in tab.record["points"]], [ON_CUP, TABLE], atol=0.5)
    assert tab.label(*ON_CUP) == CUP and tab.label(*TABLE) == 0
    tab.press("s")
    tab.drag((48, 55), (60, 70), (66, 60))
    tab.press("0")
    tab.drag((2, 100), (10, 145))
    tab.settle()
    assert [stroke["class"] for stroke in tab.record["scribbles"]] == ["cup", "background"]
    np.testing.assert_allclose(tab.record["scribbles"][0]["path"][0], (48, 55), atol=0.5)
    assert tab.label(*ON_CUP) == CUP and tab.label(5, 115) == 0


def test_polygon_brush_and_eraser_paint_at_once(tab):
    tab.press("g", "2")
    for corner in [(20, 20), (20, 60), (60, 60), (60, 20)]:
        tab.click(corner)
    assert tab.record["regions"] == []
    before = tab.picture()
    tab.press("Enter")
    assert (tab.label(30, 30), tab.label(65, 65)) == (SPOON, 0)  # before the server has said anything
    tab.settle()
    assert (tab.label(30, 30), tab.label(65, 65)) == (SPOON, 0) and tab.get("mask")["by"] == "drawn"
    assert np.abs(tab.picture() - before)[25:55, 25:55].mean() > 20
    tab.press("d", "1")
    tab.drag((80, 100), (80, 120))
    assert tab.label(80, 110) == CUP and tab.label(80, 124) == 0
    tab.press("e")
    tab.drag((40, 40), (40, 42))
    assert tab.label(40, 41) == 0
    tab.settle()
    assert (tab.label(80, 110), tab.label(40, 41), tab.label(30, 30)) == (CUP, 0, SPOON)
    assert [region["class"] for region in tab.record["regions"]] == ["spoon", "cup", "background"]


def test_what_the_brush_paints_is_what_the_server_paints(tab):
    tab.press("d", "1")
    tab.drag((20.3, 31.7), (44.1, 80.9), (70.2, 60.4))
    here = tab.labels(100, 150)
    tab.settle()
    there = tab.labels(100, 150)
    assert (there == CUP).sum() > 150
    assert (here != there).sum() <= 0.02 * (there == CUP).sum()  # of the path the server gets the corners that count


def test_undo_redo_and_reload(tab):
    tab.press("d", "1")
    for row in (50, 20):
        tab.drag((row, 50), (row, 80))
        tab.settle()
    tab.press("Control+z")
    assert (tab.label(20, 60), tab.label(50, 60)) == (0, CUP)  # at once
    tab.settle()
    assert (tab.label(20, 60), tab.label(50, 60)) == (0, CUP)
    tab.press("Control+z")
    tab.settle()
    assert tab.record["regions"] == [] and tab.record["tags"] == [] and tab.get("mask") is None
    tab.press("Control+y", "Control+Shift+Z")
    tab.settle()
    assert (tab.label(20, 60), tab.label(50, 60)) == (CUP, CUP)
    drawn = tab.record["regions"]
    tab.reload()
    assert tab.record["regions"] == drawn and (tab.label(20, 60), tab.label(50, 60)) == (CUP, CUP)


def test_one_mark_is_selected_and_removed(tab):
    tab.press("g", "1")
    for corner in [(10, 10), (10, 40), (40, 40)]:
        tab.click(corner)
    tab.press("Enter", "d")
    tab.drag((80, 100), (80, 120))
    tab.drag((60, 100), (60, 120))
    tab.press("v")
    tab.click((18, 32))
    tab.press("Delete")
    tab.settle()
    assert len(tab.record["regions"]) == 2 and tab.label(18, 32) == 0 and tab.label(80, 110) == CUP
    tab.page.locator("summary", has_text="Marks").click()
    tab.page.get_by_role("button", name="Brush of cup").last.click()  # the list begins with what lies on top
    tab.page.get_by_role("button", name="Remove", exact=True).click()
    tab.settle()
    assert len(tab.record["regions"]) == 1 and tab.label(80, 110) == 0 and tab.label(60, 110) == CUP


def test_tags_have_three_states_and_keys(new_tab, tmp_path):
    save_photograph(tmp_path / "coffee.jpg")
    with serving(tmp_path, ("quuxes", "florps")) as served:  # no words of the vocabulary: no mask, and it is said why
        tab = new_tab().open(served.address)
        tags = tab.page.locator(".class .tag")
        assert tags.nth(0).get_attribute("aria-label") == "quuxes: nothing is said. Change"
        tab.press("t", "1")
        assert tab.record["tags"] == ["quuxes"]
        assert tags.nth(1).get_attribute("aria-label") == "florps: not there. Change"
        tags.nth(1).click()
        tags.nth(1).click()
        tab.settle()
        assert (tab.record["tags"], tab.record["unknown"]) == (["quuxes"], ["florps"])
        assert "quuxes" in tab.page.text_content("#mask-made")
        tab.press("Control+z", "Control+z", "Control+z")
        tab.settle()
        assert tab.record["tags"] == [] and "unknown" not in tab.record
        tab.page.get_by_role("button", name="None of these is here").click()
        tab.settle()
        assert (tab.record["tags"], tab.record["unknown"]) == ([], [])


def test_verdicts_and_keys_of_photographs(tab):
    first = tab.get("id")
    tab.press("d", "1")
    tab.drag((50, 50), (50, 80))
    tab.settle()
    tab.press("a")
    tab.until("weakseg.record.verdict === 'accepted'")
    tab.settle()
    assert tab.get("mask")["by"] == "accepted" and tab.label(50, 60) == CUP
    assert "accepted · yours" in tab.page.locator("#rows button[aria-current]").text_content()
    tab.press("n")
    tab.until(f"weakseg.id && weakseg.id !== '{first}'")
    tab.press("ArrowLeft")
    tab.until(f"weakseg.id === '{first}'")
    tab.press("o")
    tab.until("!weakseg.record.verdict")
    tab.settle()
    tab.press("Control+z")  # back to what was accepted
    tab.until("weakseg.record.verdict === 'accepted' && !weakseg.unsaved")
    tab.press("r")
    tab.until("weakseg.record.verdict === 'rejected'")
    tab.press("u")
    tab.until(f"weakseg.id && weakseg.id !== '{first}' && weakseg.record.tags.length === 0")
    tab.press("?")
    assert tab.page.get_by_role("dialog", name="Keys").is_visible()
    tab.press("Escape")


def test_drawing_by_keyboard_alone(tab):
    tab.press("2", "g", "k", "Enter", *["ArrowRight"] * 8, "Enter", *["ArrowDown"] * 6, "Enter", "Enter")
    tab.settle()
    (polygon,) = tab.record["regions"]
    (first, second, third) = polygon["outline"]
    assert first == [50.5, 75.5] and second[0] == 50.5 and second[1] > 80 and third[0] > 54 and third[1] == second[1]
    assert polygon["class"] == "spoon" and tab.label(52, third[1] - 1) == SPOON
    tab.press("1", "b", "Enter", "Shift+ArrowUp", "Shift+ArrowLeft", "Enter", "Escape")
    assert tab.record["boxes"][0]["class"] == "cup"
    assert tab.record["boxes"][0]["rectangle"][2:] == third
    assert not tab.page.locator("[data-command=keyboard][aria-pressed=true]").count()


def test_wheel_zooms_about_the_pointer_and_space_pans(tab):
    before = tab.get("view")
    x, y = map(round, tab.client((30, 40)))
    under = tab.position(x, y)
    tab.page.mouse.move(x, y)
    tab.page.mouse.wheel(0, -300)
    tab.until(f"weakseg.view.scale > {before['scale'] * 1.2}")
    np.testing.assert_allclose(tab.client(under), (x, y), atol=0.01)
    tab.page.keyboard.down(" ")
    tab.drag((30, 40), (50, 60))
    tab.page.keyboard.up(" ")
    assert tab.record["boxes"] == []
    moved = tab.client(under)
    assert moved[0] > x + 20 and moved[1] > y + 20
    tab.press("g", "1")
    for corner in [(20, 20), (20, 60), (60, 60)]:  # positions are those of the photograph, wherever it lies
        tab.click(corner)
    tab.press("Enter")
    np.testing.assert_allclose(tab.record["regions"][0]["outline"], [(20, 20), (20, 60), (60, 60)], atol=0.5)
    tab.press("f")
    assert tab.get("view") == before


def test_two_tabs_on_one_photograph(new_tab, address, tab):
    other = new_tab().open(f"{address}#{tab.get('id')}")
    other.settle()  # a tab that waits for a mask is told what another has done, and takes it
    other.press("d", "2")
    for row, choice, kept, lost in ((20, "Keep mine", "spoon", "cup"), (40, "Take theirs", "cup", "spoon")):
        tab.press("d", "1")
        tab.drag((row, 20), (row, 60))
        tab.settle()
        other.drag((row + 10, 20), (row + 10, 60))
        dialog = other.page.get_by_role("dialog", name="Changed in another tab")
        dialog.wait_for()
        dialog.get_by_role("button", name=choice).click()
        other.settle()
        assert last_class(other) == kept
        other.press("Control+z")  # the other one is not lost
        other.settle()
        assert last_class(other) == lost
        other.press("Control+Shift+Z")
        other.settle()
        tab.reload()
        assert last_class(tab) == kept


def last_class(tab: Tab) -> str:
    return tab.record["regions"][-1]["class"]


def test_without_a_server_nothing_is_lost(tab):
    tab.press("d", "1")
    tab.page.context.set_offline(True)
    tab.drag((50, 50), (50, 80))
    tab.until("weakseg.saved === 'not saved'")
    assert "the server does not answer" in tab.page.text_content("#saved")
    tab.drag((20, 20), (20, 60))
    assert tab.label(20, 40) == CUP and tab.label(50, 60) == CUP and tab.get("unsaved")
    tab.page.context.set_offline(False)
    tab.settle()
    assert tab.get("saved") == "saved"
    tab.reload()
    assert len(tab.record["regions"]) == 2


def test_classes_are_added_and_renamed(new_tab, tmp_path):
    save_photograph(tmp_path / "coffee.jpg")
    with serving(tmp_path, ()) as served:
        tab = new_tab().open(served.address)
        tab.press("c")
        tab.click(ON_CUP)
        assert "Add a class first" in tab.page.text_content("#said")
        for name in ("cup", "spoon"):
            tab.page.get_by_label("New class").fill(name)
            tab.page.get_by_role("button", name="Add", exact=True).click()
            tab.until(f"weakseg.className === '{name}'")
        tab.press("d", "1")
        tab.drag((50, 50), (50, 80))
        tab.settle()
        tab.page.get_by_role("button", name="Rename or remove cup").click()
        tab.page.get_by_label("Name", exact=True).fill("mug")
        tab.page.get_by_role("button", name="Rename", exact=True).click()
        tab.until("weakseg.className === 'mug'")
        tab.drag((20, 50), (20, 80))
        tab.settle()
        assert [region["class"] for region in tab.record["regions"]] == ["mug", "mug"]
        tab.page.get_by_label("New class").fill("plate")
        tab.page.get_by_role("button", name="Add", exact=True).click()
        tab.until("weakseg.className === 'plate'")
        tag = tab.page.locator(".class .tag").nth(2)
        assert tag.get_attribute("aria-label") == "plate: not known. Change"  # nobody has looked for it here


GATE = """(word) => {
  const real = window.fetch;
  const opened = new Promise((open) => { window.openGate = open; });
  window.posts = [];
  window.fetch = async (address, options) => {
    if (options?.method === "POST") window.posts.push([address, JSON.parse(options.body)]);
    if (address.startsWith(word)) { window.atGate = true; await opened; }
    return real(address, options);
  };
}"""  # requests of one kind wait until the gate is opened


@pytest.mark.parametrize("key, verdict", [("a", "accepted"), ("r", "rejected")])
def test_a_stroke_drawn_while_a_verdict_is_on_its_way_is_kept(tab, key, verdict):
    tab.press("d", "1")
    tab.drag((50, 50), (50, 80))
    tab.settle()
    tab.page.evaluate(GATE, "api/accept" if key == "a" else "api/reject")
    tab.press(key)
    tab.until("window.atGate")
    tab.drag((20, 50), (20, 80))
    tab.page.evaluate("openGate()")
    tab.settle()
    assert len(tab.record["regions"]) == 2 and "verdict" not in tab.record and tab.label(20, 60) == CUP
    tab.press("Control+z")  # below the stroke lies the verdict
    tab.settle()
    tab.until(f"weakseg.record.verdict === '{verdict}' && posts.at(-1)[0].match(/accept|reject/) && !weakseg.unsaved")
    assert len(tab.record["regions"]) == 1
    tab.press("Control+Shift+Z")
    tab.settle()
    tab.reload()
    assert len(tab.record["regions"]) == 2 and "verdict" not in tab.record


def test_undo_asks_for_the_very_mask_that_was_accepted(tab):
    tab.press("d", "1")
    tab.drag((50, 50), (50, 80))
    tab.settle()
    tab.press("a")
    tab.until("weakseg.record.verdict === 'accepted'")
    tab.settle()
    accepted = tab.get("revision")
    tab.drag((20, 50), (20, 80))
    tab.settle()
    tab.page.evaluate(GATE, "nothing")
    tab.press("Control+z")
    tab.until("posts.some(([address]) => address === 'api/accept')")
    tab.settle()
    assert tab.page.evaluate("posts.find(([address]) => address === 'api/accept')[1].of") == accepted
    tab.until("weakseg.record.verdict === 'accepted'")
    tab.press("Control+Shift+Z")
    tab.settle()
    tab.page.evaluate(ANSWERS, ["api/accept", 400, {"error": "that mask is not there any more"}])
    tab.press("Control+z")
    tab.until("document.getElementById('said').textContent.includes('that mask is not there any more')")
    tab.settle()
    assert "verdict" not in tab.record and len(tab.record["regions"]) == 1


ANSWERS = """([word, status, body]) => {
  const real = window.fetch;
  window.answered = 0;
  window.giveUp = () => { window.fetch = real; };
  window.fetch = (address, options) => {
    if (!address.startsWith(word)) return real(address, options);
    window.answered += 1;
    const headers = { "Content-Type": "application/json" };
    return Promise.resolve(new Response(JSON.stringify(body), { status, headers }));
  };
}"""  # requests of one kind get an answer that a server in trouble would give


def test_a_verdict_that_another_tab_forbids_is_not_said(new_tab, address, tab):
    tab.press("d", "1")
    tab.drag((50, 50), (50, 80))
    tab.settle()
    there = {"error": "changed", "revision": 99, "record": {}}
    tab.page.evaluate(ANSWERS, ["api/accept", 409, there])
    tab.press("a")
    tab.page.get_by_role("dialog", name="Changed in another tab").wait_for()
    assert "Accepted" not in tab.page.text_content("#said")


def test_a_mask_that_fails_is_asked_for_three_times(tab):
    tab.page.evaluate(ANSWERS, ["api/mask", 500, {"error": "out of memory"}])
    tab.press("d", "1")
    tab.drag((50, 50), (50, 80))
    again = tab.page.locator("#mask-again")
    again.wait_for(state="visible")
    assert "after 3 tries: out of memory" in tab.page.text_content("#mask-made")
    tab.page.wait_for_timeout(2500)
    assert tab.page.evaluate("answered") == 3 and not tab.get("waiting")
    tab.page.evaluate("giveUp()")
    again.click()
    tab.until("weakseg.mask?.by === 'drawn' && !weakseg.waiting")
    assert not again.is_visible()


def test_classes_that_go_leave_no_trace(new_tab, tmp_path):
    save_photograph(tmp_path / "coffee.jpg")
    with serving(tmp_path, ("plate", "cup", "spoon")) as served:
        tab = new_tab().open(served.address)
        tab.press("d", "2")
        tab.drag((50, 50), (50, 80))
        tab.page.locator(".class .tag").nth(0).click()
        tab.page.locator(".class .tag").nth(0).click()
        tab.settle()
        assert tab.record["unknown"] == ["plate"] and tab.label(50, 60) == 2
        other = new_tab().open(served.address)
        other.settle()
        tab.page.get_by_role("button", name="Rename or remove plate").click()
        tab.page.locator("#class-remove").click()
        tab.until("document.getElementById('said').textContent === 'plate is no class any more.'")
        tab.until("weakseg.label(50, 60) === 1")  # ids have moved
        tab.drag((20, 50), (20, 80))
        tab.settle()
        assert "plate" not in str(tab.record) and len(tab.record["regions"]) == 2 and tab.get("saved") == "saved"
        for _ in range(2):
            tab.press("Control+z")
        tab.settle()
        assert tab.get("saved") == "saved" and "plate" not in str(tab.record)
        other.page.evaluate("performance.now = () => 1e9; document.dispatchEvent(new Event('visibilitychange'))")
        other.until("document.querySelectorAll('.class .tag').length === 2")
        other.settle()
        other.drag((80, 50), (80, 80))
        other.settle()
        assert other.get("saved") == "saved" and "plate" not in str(other.record)


def test_a_change_of_the_classes_is_no_conflict_in_its_own_tab(new_tab, tmp_path):
    for name in ("a", "b"):
        save_photograph(tmp_path / f"{name}.jpg")
    with serving(tmp_path, ("cup", "spoon")) as served:
        tab = new_tab().open(f"{served.address}#a")
        tab.press("d", "1")
        tab.drag((50, 50), (50, 80))
        tab.settle()
        tab.press("n")
        tab.until("weakseg.id === 'b'")
        tab.drag((50, 50), (50, 80))
        tab.settle()
        tab.page.evaluate(GATE, "api/classes")
        tab.page.get_by_label("New class").fill("plate")
        tab.page.get_by_role("button", name="Add", exact=True).click()
        tab.until("window.atGate")
        tab.page.locator("#stage").focus()
        tab.drag((20, 50), (20, 80))  # waits until the classes are changed
        tab.page.evaluate("openGate()")
        tab.until("weakseg.className === 'plate'")
        tab.settle()
        assert len(tab.record["regions"]) == 2 and tab.record["unknown"] == ["plate"]
        tab.press("p", "1")
        tab.until("weakseg.id === 'a'")
        tab.drag((20, 50), (20, 80))
        tab.settle()
        assert len(tab.record["regions"]) == 2 and tab.record["unknown"] == ["plate"]
        tab.page.get_by_role("button", name="Rename or remove cup").click()
        tab.page.get_by_label("Name", exact=True).fill("mug")
        tab.page.get_by_role("button", name="Rename", exact=True).click()
        tab.until("weakseg.className === 'mug'")
        tab.drag((80, 50), (80, 80))
        tab.settle()
        tab.press("Control+z")
        tab.settle()
        assert tab.get("saved") == "saved" and not tab.page.locator("#conflict").is_visible()
        assert [region["class"] for region in tab.record["regions"]] == ["mug", "mug"]
        stored = served.get("api/photograph?id=a").json
        assert stored["record"]["regions"] == tab.record["regions"] and stored["revision"] == tab.get("revision")


def test_notices_are_shown_whenever_they_come(new_tab, tmp_path):
    save_photograph(tmp_path / "coffee.jpg")
    with serving(tmp_path, ("cup",)) as served:
        tab = new_tab().open(served.address)
        tab.press("d", "1")
        tab.drag((50, 50), (50, 80))
        tab.settle()
        (tmp_path / "weakseg.json").write_text((tmp_path / "weakseg.json").read_text() + " ")
        tab.drag((20, 50), (20, 80))
        tab.settle()
        tab.page.evaluate("performance.now = () => 1e9; document.dispatchEvent(new Event('visibilitychange'))")
        notices = tab.page.locator("#notices li", has_text="changed by another program")
        notices.wait_for()
        tab.page.evaluate("performance.now = () => 2e9; document.dispatchEvent(new Event('visibilitychange'))")
        tab.page.wait_for_timeout(300)
        assert notices.count() == 1


def test_the_queue_says_what_to_draw_and_why(new_tab, tmp_path):
    for name in ("a", "b"):
        save_photograph(tmp_path / f"{name}.jpg")
    with serving(tmp_path, ("cup",)) as served:
        tab = new_tab().open(f"{served.address}#a")
        tab.press("d", "1")
        tab.drag((50, 50), (50, 80))
        tab.settle()
        tab.press("q")
        tab.until("weakseg.id === 'b'")
        tab.page.locator("#hint strong").wait_for()
        assert "Say which classes are here" in tab.page.text_content("#hint p") and tab.get("tool") == "tags"
        (first, *_) = [entry for entry in served.get("api/queue?first=9").json["queue"] if entry["id"] == "b"]
        assert first["reason"] in tab.page.text_content("#hint p")
        tab.page.get_by_role("button", name="Close this advice").click()
        assert not tab.page.locator("#hint").is_visible()


def test_fingers_at_the_width_of_a_phone(new_tab, tmp_path):
    save_photograph(tmp_path / "coffee.jpg")
    with serving(tmp_path, ("cup", "spoon")) as served:
        phone = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
        tab = new_tab(**phone, device_scale_factor=2).open(served.address)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
        tab.page.get_by_role("button", name="Point", exact=True).tap()
        tab.page.touchscreen.tap(*tab.client(ON_CUP))
        np.testing.assert_allclose(tab.record["points"][0]["position"], ON_CUP, atol=0.5)
        tab.page.locator(".class .tag").nth(1).tap()
        assert tab.record["tags"] == ["cup", "spoon"]
        before = tab.get("view.scale")
        touch(tab, [[(150, 200), (200, 300)], [(120, 180), (230, 330)], [(90, 150), (260, 360)]])
        assert tab.get("view.scale") > before * 1.5 and len(tab.record["points"]) == 1
        tab.page.wait_for_timeout(400)  # a tap right after two fingers is a double tap
        tab.page.get_by_role("button", name="List of photographs").tap()
        tab.page.locator("#rows button").first.wait_for(state="visible")
        assert tab.page.get_by_role("button", name="Accept").bounding_box()["height"] >= 44


def touch(tab: Tab, steps: list[list[tuple[float, float]]]) -> None:
    """Put fingers down, move them, and lift them."""
    session = tab.page.context.new_cdp_session(tab.page)
    for number, points in enumerate(steps):
        told = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        kind = "touchMove" if number else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": told})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_controls_have_names_and_all_text_has_contrast(new_tab, address, scheme):
    tab = new_tab(color_scheme=scheme).open(f"{address}#coffee_15")
    tab.page.evaluate("document.querySelectorAll('.side > details').forEach((one) => one.open = true)")
    session = tab.page.context.new_cdp_session(tab.page)
    nodes = [node for node in session.send("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    roles = {"button", "textbox", "searchbox", "slider", "combobox", "application", "toolbar", "navigation"}
    controls = [node for node in nodes if node["role"]["value"] in roles]
    assert len(controls) > 40
    assert [node for node in controls if not node["name"]["value"]] == []
    assert tab.page.evaluate(POOR_CONTRASTS) == []


POOR_CONTRASTS = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (value) => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const below = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const [red, green, blue, alpha = 1] = channels(getComputedStyle(one).backgroundColor);
      if (alpha === 1) return [red, green, blue];
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const isText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const isLeftOut = element.closest(":disabled, .unfit, svg, .hidden-text, option");
    if (!isText || isLeftOut || !element.checkVisibility({ opacityProperty: true })) continue;
    const [first, second] = [light(channels(getComputedStyle(element).color)), light(below(element))];
    const contrast = (Math.max(first, second) + 0.05) / (Math.min(first, second) + 0.05);
    if (contrast < 4.5) poor.push(`${element.tagName} ${element.textContent}: ${contrast.toFixed(2)}`);
  }
  return poor;
}"""


def test_two_hundred_photographs(new_tab: Callable[..., Tab], tmp_path: Path) -> None:
    save_photograph(tmp_path / "000.jpg", (60, 40))
    for number in range(1, 200):
        (tmp_path / f"{number:03}.jpg").hardlink_to(tmp_path / "000.jpg")
    with serving(tmp_path, ("cup", "spoon")) as served:
        tab = new_tab().open(served.address)
        rows = tab.page.locator("#rows li")
        assert tab.page.text_content("#count") == "200 photographs"
        assert rows.count() < 40  # only what can be seen
        tab.page.locator("#rows-frame").evaluate("frame => frame.scrollTop = frame.scrollHeight")
        tab.page.get_by_role("button", name="199.jpg").click()
        tab.until("weakseg.id === '199'")
        tab.press("1", "d")
        tab.drag((20, 20), (20, 40))
        tab.settle()
        tab.page.get_by_label("Find a photograph").fill("05")
        assert tab.page.text_content("#count") == "12 of 200 photographs"  # 005, 050 to 059, 105
        tab.press("Enter")
        tab.until("weakseg.id === '005'")
        tab.page.get_by_label("Find a photograph").fill("")
        tab.page.get_by_label("Which photographs").select_option("machine")
        assert rows.count() == 1 and "199.jpg" in rows.first.text_content()
