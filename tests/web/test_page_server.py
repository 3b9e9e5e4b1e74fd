"""The page's server by its own requests: labels, masks, verdicts, classes; and what hostile ones are answered."""

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from served import TOKEN, Served, serving, write_photographs

from weakseg import files
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.regions import is_whole, mask_of_runs
from weakseg.errors import DataError, OutputError, StoreError
from weakseg.methods.a2gnn.recipe import A2gnnRecipe
from weakseg.methods.recipes import load_recipe
from weakseg.photograph.config import SegmentOptions
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.web.album import Album
from weakseg.web.labels import LabelBook
from weakseg.web.masks import Draft, Shown
from weakseg.web.page import Page
from weakseg.web.training import with_what_counts
from weakseg.web.worker import Answer

BOX = {"class": "cat", "rectangle": [12, 16, 36, 48]}
POLYGON = {"class": "cat", "outline": [[12, 16], [12, 48], [36, 48], [36, 16]]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_photographs(tmp_path / "photos", "a.png", "deep/b.png", "c.png")


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    with serving(folder) as found:
        yield found


def _mask(served: Served, image_id: str, revision: int) -> np.ndarray:
    answer = served.get(f"api/mask?id={image_id}&revision={revision}&final=1")
    assert answer.status == 200, answer.body
    return _labels(answer.json)


def _labels(told: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(told["png"]))))


def _stored(folder: Path) -> dict[str, dict[str, object]]:
    images: dict[str, dict[str, object]] = json.loads((folder / "weakseg.json").read_text())["images"]
    return images


def test_a_record_is_on_disk_when_the_answer_comes_and_every_reader_knows_it(served: Served, folder: Path) -> None:
    answer = served.save("deep/b", 0, boxes=[BOX], points=[{"class": "background", "position": [2, 2]}])
    assert answer.status == 200 and answer.json["revision"] == 1 and answer.json["state"] == "drawn"
    assert _stored(folder)["deep/b"]["boxes"] == [BOX]
    data = open_dataset(DataConfig(root=str(folder), format="weakseg", train="weakseg.json", images="."))
    (sample,) = data.splits["train"]
    assert sample.id == "deep/b" and sample.drawn.boxes[0].right == 48 and sample.tags.present == {1}
    assert sample.image_path == (folder / "deep/b.png").resolve()


def test_a_mask_comes_back_and_changes_with_the_next_mark(served: Served) -> None:
    assert served.get("api/mask?id=a&revision=0").status == 204
    served.save("a", 0, boxes=[BOX])
    first = _mask(served, "a", 1)
    assert first.shape == (48, 64) and set(np.unique(first)) == {0, 1} and first[24, 32] == 1 and first[4, 4] == 0
    brush = {"class": "background", "path": [[24, 32]], "radius": 4}
    served.save("a", 1, boxes=[BOX], regions=[brush])
    second = _mask(served, "a", 2)
    assert second[24, 32] == 0 and second[14, 18] == first[14, 18]


def test_an_accepted_mask_is_the_label_until_it_is_opened_again(served: Served, folder: Path) -> None:
    served.save("a", 0, regions=[POLYGON])
    wanted = _mask(served, "a", 1)
    answer = served.post("api/accept", {"id": "a", "revision": 1, "seconds": 4.5})
    assert _stored(folder)["a"]["effort"] == {"seconds": 4.5}
    assert answer.json["state"] == "accepted" and answer.json["by"] == "person" and "mask" not in answer.json["record"]
    runs = _stored(folder)["a"]["mask"]["cat"]  # type: ignore[index]
    assert np.array_equal(mask_of_runs(runs.encode(), (48, 64)), wanted == 1)
    data = open_dataset(DataConfig(root=str(folder), format="weakseg", train="weakseg.json", images="."))
    assert is_whole(data.splits["train"][0].drawn)
    assert served.get("api/mask?id=a&revision=2").json["by"] == "accepted"
    assert served.post("api/reopen", {"id": "a", "revision": 2}).json["state"] == "drawn"
    assert "mask" not in _stored(folder)["a"] and _stored(folder)["a"]["regions"] == [POLYGON]
    assert served.post("api/reject", {"id": "a", "revision": 3}).json["state"] == "rejected"


def test_what_is_drawn_on_an_accepted_photograph_opens_it(served: Served, folder: Path) -> None:
    served.save("a", 0, regions=[POLYGON])
    served.post("api/accept", {"id": "a", "revision": 1})
    assert served.save("a", 2, regions=[POLYGON], boxes=[BOX]).json["state"] == "drawn"
    assert not {"mask", "verdict"} & set(_stored(folder)["a"])


def test_nothing_that_could_be_accepted(served: Served) -> None:
    answer = served.post("api/accept", {"id": "a", "revision": 0})
    assert answer.status == 400 and "no mask" in answer.json["error"]


def test_of_two_tabs_the_later_is_told_and_nothing_is_lost(served: Served, folder: Path) -> None:
    served.save("a", 0, boxes=[BOX])
    late = served.save("a", 0, regions=[POLYGON])
    assert late.status == 409 and late.json["revision"] == 1 and late.json["record"]["boxes"] == [BOX]
    assert _stored(folder)["a"]["boxes"] == [BOX]
    assert served.save("a", 1, regions=[POLYGON], boxes=[BOX]).status == 200


def test_a_photograph_of_which_nothing_is_said_is_not_in_the_file(served: Served, folder: Path) -> None:
    served.save("a", 0, boxes=[BOX])
    served.save("c", 0, tags=["dog"], unknown=["cat"])
    answer = served.save("a", 1).json
    assert (answer["revision"], answer["record"], answer["state"]) == (2, {}, "empty")
    assert list(_stored(folder)) == ["c"]
    assert served.save("a", 2, unknown=[]).json["state"] == "tagged"  # none of the classes: that is said
    assert _stored(folder)["a"]["unknown"] == [] and "tags" not in _stored(folder)["a"]


def test_work_survives_a_restart(folder: Path) -> None:
    with serving(folder) as first:
        first.save("a", 0, boxes=[BOX], effort={"seconds": 3.5})
        first.post("api/classes", {"add": "bird"})
    with serving(folder, ()) as second:
        assert [one["name"] for one in second.get("api/state").json["classes"]] == ["cat", "dog", "bird"]
        found = second.get("api/photograph?id=a").json
        assert found["revision"] == 2 and found["record"]["effort"] == {"seconds": 3.5}
        assert found["record"]["unknown"] == ["bird"]  # a class that came later is open on it
        assert second.save("a", 2, boxes=[BOX, BOX]).status == 200


def test_a_verdict_on_an_unlabelled_photograph_does_not_say_what_is_there(served: Served, folder: Path) -> None:
    assert served.post("api/reject", {"id": "a", "revision": 0}).json["state"] == "rejected"
    assert _stored(folder)["a"]["unknown"] == ["cat", "dog"]
    assert served.post("api/reopen", {"id": "a", "revision": 1}).json["state"] == "empty"
    assert "a" not in _stored(folder)
    served.save("c", 0, points=[{"class": "background", "position": [3, 3]}])
    assert served.save("c", 1).json["state"] == "empty"  # what was drawn is deleted: nothing is said again


def test_undo_brings_back_the_very_mask_that_was_accepted(served: Served, folder: Path) -> None:
    served.save("a", 0, regions=[POLYGON])
    served.post("api/accept", {"id": "a", "revision": 1})
    mask = _stored(folder)["a"]["mask"]
    served.save("a", 2, regions=[POLYGON], boxes=[{"class": "cat", "rectangle": [0, 0, 5, 5]}])
    assert served.post("api/accept", {"id": "a", "revision": 3, "of": 2}).json["state"] == "accepted"
    assert _stored(folder)["a"]["mask"] == mask
    assert served.post("api/accept", {"id": "a", "revision": 4, "of": 77}).status == 400


def test_a_first_brush_stroke_on_a_machines_mask_keeps_what_was_seen(served: Served, folder: Path) -> None:
    seen = np.zeros((48, 64), np.uint8)
    seen[10:40, 10:50] = 1
    served.page.worker.answers = {"a": Answer(0, Shown(LabelMap(seen), "run"))}
    rubbed = {"class": "background", "path": [[12.0, 12.0]], "radius": 2}
    answer = served.save("a", 0, regions=[rubbed])
    assert [sorted(one) for one in answer.json["record"]["regions"]] == [["class", "runs"], ["class", "path", "radius"]]
    mask = _mask(served, "a", 1)
    assert mask[12, 12] == 0 and (mask == seen).mean() > 0.99


def test_another_tab_is_told_of_classes_that_came_and_went(served: Served, folder: Path) -> None:
    served.save("a", 0, boxes=[BOX])
    added = served.post("api/classes", {"add": "bird"}).json
    assert added["revisions"] == {"a": 2} and "bird" in added["notice"][-1]
    assert served.save("a", 1, boxes=[BOX]).status == 409
    assert served.save("a", 2, boxes=[BOX], unknown=["bird", "gone"]).status == 200
    assert _stored(folder)["a"]["unknown"] == ["bird"]
    assert served.post("api/classes", {"remove": "bird"}).json["revisions"] == {"a": 4}


def test_classes_of_the_command_line_are_open_on_what_is_labelled(folder: Path) -> None:
    with serving(folder) as served:
        served.save("a", 0, boxes=[BOX])
    with serving(folder, ("cat", "dog", "bird")) as served:
        assert served.get("api/photograph?id=a").json["record"]["unknown"] == ["bird"]


def test_masks_of_other_classes_are_dropped_and_errors_are_tried_again(served: Served) -> None:
    served.save("a", 0, boxes=[BOX])
    worker = served.page.worker
    worker.answers = {"a": Answer(1, error="the disk was away")}
    assert served.get("api/mask?id=a&revision=1").status == 200
    begun, go_on = threading.Event(), threading.Event()

    def slow(draft: Draft) -> Shown:
        begun.set()
        go_on.wait(30)
        return Shown(LabelMap(np.zeros((48, 64), np.uint8)), "drawn")

    worker.ask("a", 7, slow)
    begun.wait(30)
    worker.forget()
    go_on.set()
    worker.ask("c", 0, lambda draft: None)
    while "c" not in worker.answers:
        time.sleep(0.01)
    assert "a" not in worker.answers


def test_a_first_mask_is_answered_before_the_one_that_is_kept(served: Served) -> None:
    worker, go_on, made = served.page.worker, threading.Event(), []
    first, last = np.zeros((48, 64), np.uint8), np.ones((48, 64), np.uint8)
    served.save("a", 0, boxes=[BOX])
    served.get("api/mask?id=a&revision=1&final=1")

    def slow(draft: Draft) -> Shown:
        made.append("begun")
        draft(Shown(LabelMap(first), "a2gnn"))
        go_on.wait(30)
        return Shown(LabelMap(last), "a2gnn")

    worker.answers = {}
    worker.ask("a", 1, slow)
    drafted = served.get("api/mask?id=a&revision=1").json
    assert drafted["draft"] and not _labels(drafted).any()
    worker.ask("a", 1, slow)  # is being made
    go_on.set()
    kept = served.get("api/mask?id=a&revision=1&final=1").json
    assert not kept["draft"] and _labels(kept).all() and made == ["begun"]


def test_a_mask_that_a_newer_mark_overtakes_is_not_finished(served: Served) -> None:
    worker, go_on, finished = served.page.worker, threading.Event(), []
    shown = Shown(LabelMap(np.zeros((48, 64), np.uint8)), "a2gnn")

    def slow(draft: Draft) -> Shown:
        go_on.wait(30)
        draft(shown)
        finished.append("slow")
        return shown

    worker.ask("a", 1, slow)
    while worker._running is None:
        time.sleep(0.01)
    worker.ask("a", 2, lambda draft: shown)
    go_on.set()
    while "a" not in worker.answers or worker.answers["a"].revision < 2:
        time.sleep(0.01)
    assert not finished


def test_what_lies_outside_is_refused(served: Served) -> None:
    for box in (
        {"class": "cat", "rectangle": [500, 500, 510, 510]},
        {"class": "background", "rectangle": [1, 1, 9, 9]},
    ):
        assert served.save("a", 0, boxes=[box]).status == 400
    served.save("a", 0, boxes=[BOX], tags=["dog"])
    assert "nothing is drawn of 'dog'" in served.get("api/mask?id=a&revision=1").json["warnings"][0]


def test_a_photograph_that_is_replaced_by_one_of_another_size(served: Served, folder: Path) -> None:
    served.save("a", 0, boxes=[BOX])
    write_photographs(folder, "a.png", size=(20, 30))
    assert "48 x 64" in served.get("api/photograph?id=a").json["error"]
    assert served.get("api/mask?id=a&revision=1").status == 400


def test_links_of_labels_lock_and_run_lead_nowhere(tmp_path: Path, folder: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "report.html").write_text("secret")
    (folder / "weakseg-run").symlink_to(outside)
    with serving(folder) as served:
        assert served.get("run/report.html").status == 404
        served.save("a", 0, boxes=[BOX])
        served.save("c", 0, boxes=[BOX])
        assert "leads elsewhere" in served.get("api/train").json["needed"]
    received = write_photographs(tmp_path / "received", "a.png")
    (received / ".weakseg.lock").symlink_to(outside / "report.html")
    with pytest.raises(StoreError):
        LabelBook(received / "weakseg.json")
    assert (outside / "report.html").read_text() == "secret"
    (received / "weakseg.json").symlink_to(outside / "labels.json")
    assert main(["page", str(received), "--browser", "false"]) == 2 and not (outside / "labels.json").exists()


def test_reports_of_runs_are_in_a_sandbox(served: Served, folder: Path) -> None:
    (folder / "weakseg-run").mkdir()
    (folder / "weakseg-run" / "report.html").write_text("<p>hello")
    answer = served.get("run/report.html")
    assert answer.body == b"<p>hello" and answer.headers["content-security-policy"].startswith("sandbox allow-scripts")


def test_outlined_classes_are_not_asked_for(served: Served) -> None:
    served.save("a", 0, regions=[POLYGON])
    assert "a" not in {one["id"] for one in served.get("api/queue").json["queue"]}


def test_classes_are_added_renamed_and_removed_where_unused(served: Served, folder: Path) -> None:
    served.save("a", 0, boxes=[BOX], tags=["cat"])
    assert served.post("api/classes", {"rename": ["cat", "tiger"]}).status == 200
    assert _stored(folder)["a"]["boxes"][0]["class"] == "tiger"  # type: ignore[index]
    assert "used on 1 photographs" in served.post("api/classes", {"remove": "tiger"}).json["error"]
    assert served.post("api/classes", {"remove": "dog"}).status == 200
    for bad in ("background", "", "tiger", "a,b", "x" * 101, 7, "a\nb"):
        assert served.post("api/classes", {"add": bad}).status == 400, bad


def test_pictures_are_upright_and_as_large_as_asked_for(folder: Path) -> None:
    pixels = np.zeros((40, 400, 3), np.uint8)
    pixels[:, :200] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    Image.fromarray(pixels).save(folder / "turned.jpg", exif=exif, quality=95)
    with serving(folder) as served:
        assert served.get("api/photograph?id=turned").json["size"] == [400, 40]
        shown = np.asarray(Image.open(io.BytesIO(served.get("api/image?id=turned&side=256").body)))
        assert shown.shape == (256, 26, 3) and shown[10].mean() > 250 and shown[-10].mean() < 5
        assert served.get("api/image?id=turned&side=300").status == 400


@pytest.mark.parametrize(
    "path",
    [
        "api/photograph?id=../../etc/passwd",
        "api/image?id=..%2F..%2Fetc%2Fpasswd&side=64",
        "api/mask?id=%00&revision=0",
        "run/../weakseg.json",
        "run/%2e%2e/weakseg.json",
        "run/..%2Fweakseg.json",
        "run/%2Fetc%2Fpasswd",
        "static/..%2Fserver.py",
        "static/../server.py",
        "static/%2e%2e%2fserver.py",
        "weakseg.json",
        "%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_nothing_outside_is_served(served: Served, folder: Path, path: str) -> None:
    (folder / "weakseg-run").mkdir()
    answer = served.get(path)
    assert answer.status in (400, 403, 404) and "error" in answer.json


def test_links_that_lead_outside_are_left_out_and_told(tmp_path: Path, folder: Path) -> None:
    outside = write_photographs(tmp_path / "outside", "secret.png")
    (folder / "link.png").symlink_to(outside / "secret.png")
    with serving(folder) as served:
        state = served.get("api/state").json
        assert "link" not in [one["id"] for one in state["photographs"]]
        assert any("link.png" in text and "outside" in text for text in state["notice"])
        (folder / "c.png").unlink()
        (folder / "c.png").symlink_to(outside / "secret.png")
        assert served.get("api/image?id=c&side=64").status == 400


@pytest.mark.parametrize("token", ["", "wrong", "secre", "secret%00", "s\u00e9cret".encode().hex()])
def test_without_the_token_nothing_is_told(served: Served, token: str) -> None:
    assert served.get("api/state", token=token).status == 403
    assert served.post("api/record", {}, token=token).status == 403


def test_changes_come_from_the_page_alone(served: Served, folder: Path) -> None:
    body = {"id": "a", "revision": 0, "record": {"boxes": [BOX]}}
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{served.port + 1}"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"host": "evil.example"},
    ):
        assert served.post("api/record", body, **headers).status in (403, 421), headers
    plain = {"content-type": "application/json"}  # what a form or a foreign page can send
    assert served.ask("POST", f"/{TOKEN}/api/record", json.dumps(body).encode(), plain).status == 403
    assert not (folder / "weakseg.json").exists()
    assert served.post("api/record", body, origin=f"http://127.0.0.1:{served.port}").status == 200


@pytest.mark.parametrize(
    "record",
    [
        {"boxes": [{"class": "cat", "rectangle": [float("nan"), 0, 5, 5]}]},
        {"boxes": [{"class": "cat", "rectangle": [float("inf"), 0, 5, 5]}]},
        {"boxes": [{"class": "cat", "rectangle": [1e308, 0, 5]}]},
        {"boxes": [{"class": "tiger", "rectangle": [1, 1, 5, 5]}]},
        {"boxes": "all"},
        {"points": [{"class": "cat", "position": ["a", 2]}]},
        {"points": [None]},
        {"scribbles": [{"class": "cat", "path": [[1, 2, 3]]}]},
        {"regions": [{"class": "cat", "path": [[1, 2]], "radius": 1e300}]},
        {"regions": [{"class": "cat", "runs": "\u0000\uffff"}]},
        {"tags": ["unicorn"]},
        {"tags": [["cat"]]},
        {"unknown": 7},
        {"effort": {"seconds": "long"}},
        {"whatever": 1},
        {"points": [{"class": "cat", "position": [1, 1]}] * 100_000},
    ],
    ids=str,
)
def test_bad_labels_are_refused_whole(served: Served, folder: Path, record: dict[str, object]) -> None:
    assert served.save("a", 0, boxes=[BOX]).status == 200
    before = (folder / "weakseg.json").read_bytes()
    answer = served.save("a", 1, **record)
    assert answer.status == 400 and answer.json["error"]
    assert (folder / "weakseg.json").read_bytes() == before
    assert served.save("a", 1, boxes=[BOX, BOX]).status == 200  # the server is alive


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"id": "a"}', b'{"id": 3}'])
def test_bodies_that_are_no_change(served: Served, body: bytes) -> None:
    assert served.post("api/record", body).status == 400
    assert served.post("api/accept", body).status == 400
    assert served.get("api/state").status == 200


def test_a_body_of_a_gigabyte_is_refused_before_it_is_read(served: Served) -> None:
    assert served.post("api/record", b"{}", content_length=str(1 << 30)).status == 413
    with socket.create_connection(("127.0.0.1", served.port), 60) as line:  # or when its length was hidden
        head = f"POST /{TOKEN}/api/record HTTP/1.1\r\nhost: 127.0.0.1:{served.port}\r\nx-weakseg: 1\r\n"
        line.sendall(f"{head}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        part = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
        try:
            for _ in range(40):
                line.sendall(part)
            answer = line.recv(100)
        except ConnectionError:
            answer = b" 413 "
        assert b" 413 " in answer
    assert served.get("api/state").status == 200


def test_a_photograph_that_has_gone(served: Served, folder: Path) -> None:
    (folder / "a.png").unlink()
    for path in ("api/photograph?id=a", "api/image?id=a&side=64", "api/mask?id=a&revision=0"):
        answer = served.get(path)
        assert answer.status == 400 and "no longer there" in answer.json["error"], path
    assert served.save("a", 0, boxes=[BOX]).status == 400
    assert served.save("c", 0, boxes=[BOX]).status == 200


def test_a_photograph_that_has_another_size_than_its_labels(folder: Path) -> None:
    with serving(folder) as served:
        served.save("a", 0, boxes=[BOX])
    write_photographs(folder, "a.png", size=(20, 30))
    with serving(folder) as served:
        assert "48 x 64" in served.get("api/photograph?id=a").json["error"]
        assert served.save("a", 1, boxes=[]).status == 400
    assert _stored(folder)["a"]["boxes"] == [BOX]


def test_a_full_disk_loses_nothing(served: Served, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served.save("a", 0, boxes=[BOX])
    before = (folder / "weakseg.json").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        answer = served.save("a", 1, boxes=[BOX, BOX])
        assert answer.status == 507 and "No space left" in answer.json["error"]
    assert (folder / "weakseg.json").read_bytes() == before and len(list(folder.iterdir())) == 5
    assert served.save("a", 1, boxes=[BOX, BOX]).json["revision"] == 2


def test_no_file_is_written_but_the_labels(served: Served, folder: Path) -> None:
    before = set(folder.parent.rglob("*"))
    served.save("a", 0, boxes=[BOX])
    _mask(served, "a", 1)
    served.post("api/accept", {"id": "a", "revision": 1})
    assert {path.name for path in set(folder.parent.rglob("*")) - before} == {"weakseg.json"}


def test_what_another_program_wrote_is_kept_aside(served: Served, folder: Path) -> None:
    served.save("a", 0, boxes=[BOX])
    (folder / "weakseg.json").write_text("written by hand")
    served.save("a", 1, boxes=[BOX, BOX])
    assert (folder / "weakseg.other-1.json").read_text() == "written by hand"
    assert any("weakseg.other-1.json" in text for text in served.get("api/state").json["notice"])
    assert len(_stored(folder)["a"]["boxes"]) == 2  # type: ignore[arg-type]


def test_an_entry_that_cannot_be_used_is_kept_and_closed_and_the_rest_goes_on(folder: Path) -> None:
    odd = {"size": [48, 64], "boxes": [{"class": "cat", "rectangle": [1, 2]}]}
    images = {"a": odd, "c": {"size": [48, 64], "tags": ["cat"]}, "gone": {"size": [1, 1], "tags": ["dog"]}}
    document = {"weakseg": 1, "kind": "page", "classes": ["cat", "dog"], "images": images}
    (folder / "weakseg.json").write_text(json.dumps(document))
    with serving(folder) as served:
        state = served.get("api/state").json
        states = {one["id"]: one["state"] for one in state["photographs"]}
        assert states == {"a": "broken", "c": "tagged", "deep/b": "empty"}
        assert any("rectangle" in text for text in state["notice"]) and any("gone" in text for text in state["notice"])
        assert "rectangle" in served.save("a", 0, boxes=[BOX]).json["error"]
        assert served.save("c", 0, tags=["dog"]).status == 200
    assert _stored(folder)["a"] == odd and _stored(folder)["gone"] == images["gone"]


def test_files_that_are_no_labels_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "weakseg.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(DataError, match="no file of weakseg's own labels"):
        LabelBook(tmp_path / "weakseg.json")
    (tmp_path / "weakseg.json").write_text('{"weakseg": 1, "kind": "page", "classes": ["cat"], "images": {}}')
    book = LabelBook(tmp_path / "weakseg.json", ("dog",))
    assert book.classes is not None and book.classes.names == ("cat", "dog")
    assert book.notices == ["weakseg.json has more classes than were given: cat"]


def test_labels_that_cannot_be_written_stay_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = LabelBook(tmp_path / "weakseg.json", ("cat",))

    def fails(*_: object) -> None:
        raise OutputError("no")

    monkeypatch.setattr("weakseg.web.labels.write_bytes", fails)
    with pytest.raises(StoreError):
        book.add_class("dog")
    assert book.classes is not None and book.classes.names == ("cat",)


def test_a_word_that_nobody_knows_gets_an_answer_and_not_a_mask(served: Served) -> None:
    served.post("api/classes", {"add": "qwertz"})
    served.save("a", 0, tags=["qwertz"])
    answer = served.get("api/mask?id=a&revision=1")
    assert answer.status == 422 and "qwertz" in answer.json["error"]
    served.save("c", 0, points=[{"class": "background", "position": [3, 3]}])
    assert "only the background" in served.get("api/mask?id=c&revision=1").json["error"]


def test_training_says_what_it_needs(served: Served) -> None:
    assert "label 2 photographs" in served.get("api/train").json["needed"]
    assert served.post("api/train", {"action": "start"}).status == 400
    assert served.post("api/train", {"action": "dance"}).status == 400
    assert served.post("api/train", {"action": "stop"}).json["state"] == "none"


def test_what_to_draw_next_comes_with_its_reason_and_leaves_out_what_is_accepted(served: Served) -> None:
    asked = served.get("api/queue").json["queue"]
    assert {(one["id"], one["kind"]) for one in asked} == {("a", "tag"), ("c", "tag"), ("deep/b", "tag")}
    served.save("a", 0, tags=["cat"])
    served.save("c", 0, regions=[POLYGON])
    served.post("api/accept", {"id": "c", "revision": 1})
    asked = served.get("api/queue").json["queue"]
    assert {one["id"] for one in asked} == {"a", "deep/b"}
    (mine,) = [one for one in asked if one["id"] == "a"]
    assert mine["class"] == "cat" and mine["kind"] in ("box", "point", "scribble") and mine["reason"]
    assert mine["gain"] > 0 and mine["seconds"] > 0
    assert len(served.get("api/queue?first=1").json["queue"]) == 1


def test_label_studio_is_answered_below_the_token(folder: Path) -> None:
    with serving(folder, label_studio=True) as served:
        assert served.get("label-studio/health").json["status"] == "UP"
        plain = {"content-type": "application/json"}  # Label Studio knows nothing of the page's own header
        answer = served.ask("POST", f"/{TOKEN}/label-studio/predict", b'{"tasks": []}', plain)
        assert answer.status in (200, 400) and answer.json
        assert served.ask("POST", "/label-studio/predict", b"{}", plain).status == 403
    with serving(folder) as served:
        assert served.get("label-studio/health").status == 404


def test_training_leaves_out_activations_where_no_label_needs_them(served: Served) -> None:
    for image_id in ("a", "c"):
        served.save(image_id, 0, regions=[POLYGON])
        served.post("api/accept", {"id": image_id, "revision": 1})
    training = served.page.training
    words = with_what_counts(training.words("a2gnn"))
    assert words[-2:] == ["--with_activations", "false"]
    served.save("deep/b", 0, tags=["dog"])
    assert with_what_counts(training.words("a2gnn")) == training.words("a2gnn")


def test_training_asks_the_proposer_of_the_page(folder: Path) -> None:
    boxes = BoxSeedConfig(proposer="sam2", proposer_file="sam2.1-hiera-tiny", proposer_device="cpu")
    drawn = SegmentOptions().drawn
    options = SegmentOptions(drawn=replace(drawn, seeds=replace(drawn.seeds, boxes=boxes)))
    training = Page(Album(folder), LabelBook(folder / "weakseg.json", ["cat"]), options=options).training
    recipe = load_recipe("a2gnn", training.words("a2gnn")[4:])
    assert isinstance(recipe, A2gnnRecipe) and recipe.seeds.boxes == boxes
    load_recipe("cam", training.words("cam")[4:])


def test_a_run_that_is_none_is_refused_and_its_classes_are_taken_where_there_are_none(folder: Path) -> None:
    assert main(["page", str(folder), "--run", str(folder / "nothere"), "--browser", "false"]) == 2
    assert main(["page", str(folder / "a.png"), "--browser", "false"]) == 2


def test_a_photograph_that_shows_none_of_the_classes_is_background_and_may_be_accepted(served: Served) -> None:
    served.save("a", 0, unknown=[])
    assert not _mask(served, "a", 1).any()
    assert served.post("api/accept", {"id": "a", "revision": 1}).json["state"] == "accepted"


def test_photographs_that_cannot_be_decoded_are_told(folder: Path) -> None:
    whole = (folder / "a.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no picture")
    with serving(folder) as served:
        for image_id in ("cut", "text"):
            assert image_id in served.get(f"api/photograph?id={image_id}").json["error"]
        states = {one["id"]: one["state"] for one in served.get("api/state").json["photographs"]}
        assert states["cut"] == states["text"] == "broken" and states["a"] == "empty"
