"""Label Studio's ML backend over HTTP: what its server sends, as recorded from its source, and hostile variants."""

import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import uvicorn
from numpy.typing import NDArray
from PIL import Image

from generated import draw
from weakseg.data.formats.brush import mask_of_brush
from weakseg.data.formats.labelstudio_out import brush_region
from weakseg.errors import DataError
from weakseg.integrations import labelstudio
from weakseg.integrations.labelstudio import app, routes

Record = dict[str, Any]
SIZE = (96, 128)
CONFIG = """
<View>
  <Image name="picture" value="$photo" zoom="true"/>
  <BrushLabels name="tag" toName="picture">
    <Label value="disc" background="#FF0000"/><Label value="a square" alias="square"/><Label value="cat"/>
  </BrushLabels>
  <KeyPointLabels name="tag2" toName="picture" smart="true"><Label value="disc"/></KeyPointLabels>
  <RectangleLabels name="tag3" toName="picture" smart="true"><Label value="disc"/></RectangleLabels>
  <Choices name="shows" toName="picture" choice="multiple"><Choice value="cat"/></Choices>
</View>
"""


def scene() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a photograph with a disc and a square, and its mask."""
    image, mask = draw(3)
    return image.repeat(2, 0).repeat(2, 1), mask.repeat(2, 0).repeat(2, 1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, one of them deep in folders; a secret and a link to it lie outside."""
    folder = tmp_path_factory.mktemp("backend")
    photos = folder / "photos"
    image, _ = scene()
    for name in ("a.png", "x/y/b 1 (2).png", "twice/c.png", "also/c.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(photos / name)
    Image.fromarray(skimage.data.cat()[::4, ::4]).save(photos / "cat.png")
    Image.fromarray(image).save(folder / "secret.png")
    (photos / "link.png").symlink_to(folder / "secret.png")
    (photos / "broken.png").write_bytes(b"no photograph")
    return photos


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    """A real server on a free port."""
    server = uvicorn.Server(uvicorn.Config(app(root, ("disc", "square")), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(30)


def post(address: str, name: str, body: object, *, kind: str = "application/json") -> tuple[int, Record]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/{name}", data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def task(photo: object = "/data/local-files/?d=a.png", **more: object) -> Record:
    """Return a task as Label Studio's server serialises it."""
    plain = {"meta": {}, "created_at": "2026-01-01T00:00:00Z", "is_labeled": False, "project": 3, "comment_count": 0}
    return {"id": 7, "data": {"photo": photo}, **plain, **more}


def predict(address: str, *tasks: object, drawn: list[object] | None = None, config: str = CONFIG) -> list[Record]:
    """Return the results of a request as ``make_predictions`` of Label Studio's server sends it."""
    context = None if drawn is None else {"result": drawn}
    params = {"login": None, "password": None, "context": context}
    body = {"tasks": tasks, "project": "3.1767225600", "label_config": config, "params": params}
    status, answer = post(address, "predict", body)
    assert status == 200 and answer["model_version"].startswith("weakseg-")
    assert len(answer["results"]) == len(tasks)
    assert all(set(one) <= {"model_version", "score", "result"} for one in answer["results"])
    return answer["results"]


def record(kind: str, value: Record, **more: object) -> Record:
    """Return a region as the labelling page sends it while somebody draws."""
    size = {"original_width": SIZE[1], "original_height": SIZE[0], "image_rotation": 0}
    return {"id": "fBWv1t0S2L", "type": kind, "to_name": "picture", "origin": "manual", "value": value, **size, **more}


def keypoint(row: float, column: float, label: str = "disc", **more: object) -> Record:
    value = {"x": 100 * column / SIZE[1], "y": 100 * row / SIZE[0], "width": 0.32, "keypointlabels": [label]}
    return record("keypointlabels", value, from_name="tag2", is_positive=True) | more


def box(class_id: int, label: str) -> Record:
    rows, columns = np.nonzero(scene()[1] == class_id)
    (top, bottom), (left, right) = (rows.min(), rows.max() + 1), (columns.min(), columns.max() + 1)
    value = {
        "x": float(100 * left / SIZE[1]),
        "y": float(100 * top / SIZE[0]),
        "width": float(100 * (right - left) / SIZE[1]),
        "height": float(100 * (bottom - top) / SIZE[0]),
        "rotation": 0,
        "rectanglelabels": [label],
    }
    return record("rectanglelabels", value, from_name="tag3")


def masks(prediction: Record) -> dict[str, NDArray[np.bool_]]:
    found = {}
    for region in prediction["result"]:
        if region["type"] != "brushlabels":
            continue
        assert (region["from_name"], region["to_name"]) == ("tag", "picture")
        assert (region["original_height"], region["original_width"]) == SIZE and region["image_rotation"] == 0
        (label,) = region["value"]["brushlabels"]
        found[label] = mask_of_brush(bytes(region["value"]["rle"]), SIZE, "answer")
    return found


def iou(mask: NDArray[np.bool_], class_id: int) -> float:
    truth = scene()[1] == class_id
    return float((mask & truth).sum() / (mask | truth).sum())


def painted(class_id: int, label: str, **more: object) -> Record:
    """Return a stroke over the middle of an object."""
    rows, columns = np.nonzero(scene()[1] == class_id)
    stroke = np.zeros(SIZE, np.bool_)
    middle = int(rows.mean())
    stroke[middle - 2 : middle + 3, int(columns.mean()) - 8 : int(columns.mean()) + 8] = True
    return brush_region("Zu8", label, stroke, from_name="tag", to_name="picture") | more


class TestProtocol:
    def test_health_and_setup(self, address: str) -> None:
        with urllib.request.urlopen(f"{address}/health") as answer:
            assert json.load(answer)["status"] == "UP"
        body = {"project": "3.1767225600", "schema": CONFIG, "hostname": "http://localhost:8080", "access_token": "x"}
        status, told = post(address, "setup", {**body, "extra_params": None})
        assert status == 200 and told["model_version"].startswith("weakseg-")
        with urllib.request.urlopen(f"{address}/versions") as answer:
            assert json.load(answer) == {"versions": [told["model_version"]]}

    def test_setup_names_labels_without_class(self, address: str, caplog: pytest.LogCaptureFixture) -> None:
        assert post(address, "setup", {"schema": CONFIG})[0] == 200
        assert "'cat': no classes here (disc, square)" in caplog.text

    def test_a_configuration_without_brush(self, address: str) -> None:
        config = '<View><Image name="i" value="$image"/><KeyPointLabels name="k" toName="i"/></View>'
        for name, key in (("setup", "schema"), ("predict", "label_config")):
            status, told = post(address, name, {key: config, "tasks": []})
            assert status == 400 and "has no BrushLabels for an Image" in told["error"]

    @pytest.mark.parametrize("event", ["ANNOTATION_CREATED", "START_TRAINING", "PROJECT_UPDATED"])
    def test_events_change_nothing(self, event: str, address: str) -> None:
        status, told = post(address, "webhook", {"action": event, "project": {"id": 3, "label_config": CONFIG}})
        assert status == 200 and told["status"] == "ignored" and "export" in told["reason"]

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no such folder of photographs"):
            routes(tmp_path / "nowhere")

    def test_routes_below_a_prefix(self, root: Path) -> None:
        names = ("health", "versions", "setup", "predict", "webhook")
        assert [route.path for route in routes(root, prefix="/ls")] == [f"/ls/{name}" for name in names]


class TestWhileSomebodyDraws:
    def test_a_box(self, address: str) -> None:
        drawn = box(1, "disc")
        (found,) = predict(address, task(), drawn=[drawn])
        assert iou(masks(found)["disc"], 1) > 0.8 and 0 < found["score"] <= 1
        (rectangle,) = (one for one in found["result"] if one["type"] == "rectanglelabels")
        assert rectangle["value"] == drawn["value"] and rectangle["from_name"] == "tag3"
        assert len({one["id"] for one in found["result"]} - {drawn["id"]}) == 2

    def test_clicks_on_and_beside_an_object(self, address: str) -> None:
        rows, columns = np.nonzero(scene()[1] == 2)
        on = keypoint(rows.mean(), columns.mean(), "square")
        beside = keypoint(90, 10, "square", is_positive=False)
        (found,) = predict(address, task(), drawn=[on, beside])
        mask = masks(found)["square"]
        assert iou(mask, 2) > 0.4 and not mask[90, 10] and set(masks(found)) == {"square"}  # a drawing, found roughly

    def test_a_stroke_is_completed(self, address: str) -> None:
        stroke = painted(2, "square")
        (found,) = predict(address, task(), drawn=[stroke])
        assert iou(masks(found)["square"], 2) > 0.8
        rows, columns = np.nonzero(scene()[1] == 1)
        (found,) = predict(address, task(), drawn=[stroke, keypoint(rows.mean(), columns.mean())])
        assert iou(masks(found)["square"], 2) > 0.8 and iou(masks(found)["disc"], 1) > 0.8

    def test_an_outline_stays_as_it_is(self, address: str) -> None:
        corners = [[25, 25], [75, 25], [75, 75], [25, 75]]
        polygon = record("polygonlabels", {"points": corners, "closed": True, "polygonlabels": ["disc"]})
        (found,) = predict(address, task(), drawn=[polygon])
        expected = np.zeros(SIZE, np.bool_)
        expected[24:72, 32:96] = True
        np.testing.assert_array_equal(masks(found)["disc"], expected)

    def test_a_label_that_the_brush_does_not_have(self, address: str, caplog: pytest.LogCaptureFixture) -> None:
        (found,) = predict(address, task(), drawn=[box(1, "moon")])
        assert found["result"] == [] and "'moon' is no label of the brush 'tag'" in caplog.text


class TestTasksWithoutContext:
    def test_what_is_annotated_counts(self, address: str) -> None:
        annotations = [{"id": 1, "was_cancelled": False, "result": [box(1, "disc"), box(2, "square")]}]
        (found,) = predict(address, task(annotations=annotations, predictions=[]))
        assert iou(masks(found)["disc"], 1) > 0.8 and iou(masks(found)["square"], 2) > 0.8

    def test_painted_masks_are_finished(self, address: str) -> None:
        stroke = painted(2, "square")
        (found,) = predict(address, task(annotations=[{"result": [stroke]}]))
        np.testing.assert_array_equal(
            masks(found)["square"], mask_of_brush(bytes(stroke["value"]["rle"]), SIZE, "stroke")
        )

    def test_choices_are_tags(self, address: str, caplog: pytest.LogCaptureFixture) -> None:
        shows = {
            "id": "c",
            "type": "choices",
            "from_name": "shows",
            "to_name": "picture",
            "value": {"choices": ["cat"]},
        }
        (found,) = predict(address, task(drafts=[{"result": [shows]}], annotations=[]))
        assert set(masks(found)) == {"cat"} or "the mask shows nothing" in caplog.text
        shows["value"] = {"choices": ["no word of anything"]}
        (found,) = predict(address, task(annotations=[{"result": [shows]}]))
        assert found["result"] == [] and "no prediction" in caplog.text and "no word of anything" in caplog.text

    def test_nothing_is_said(self, address: str, caplog: pytest.LogCaptureFixture) -> None:
        (found,) = predict(address, task())
        assert found == {"model_version": found["model_version"], "result": []}
        assert "tasks[0] (id 7): no prediction: nothing is drawn on it, and no choice says" in caplog.text


class TestPhotographs:
    @pytest.mark.parametrize(
        "photo",
        [
            "a.png",
            "/data/local-files/?d=photos/a.png",
            "/data/local-files/?d=somewhere%2Felse%2Fx%2Fy%2Fb%201%20%282%29.png",
            "/data/upload/3/0a1b2c3d-a.png",
            "/data/upload/3/0a1b2c3d-b_1_2.png",
            "http://localhost:8080/data/upload/3/0a1b2c3d-b_1_2.png?x=1",
            "s3://bucket/folder/a.png",
            "/data/local-files/?d=photos/also/c.png",
        ],
    )
    def test_they_are_found(self, photo: str, address: str) -> None:
        corners = [[25, 25], [75, 25], [75, 75]]
        polygon = record("polygonlabels", {"points": corners, "closed": True, "polygonlabels": ["disc"]})
        (found,) = predict(address, task(photo), drawn=[polygon])
        assert set(masks(found)) == {"disc"}

    @pytest.mark.parametrize(
        ("photo", "reason"),
        [
            ("/data/local-files/?d=../secret.png", "leads outside"),
            ("/data/local-files/?d=..%2F..%2Fsecret.png", "leads outside"),
            ("/data/local-files/?d=x/../../secret.png", "leads outside"),
            ("link.png", "leads outside"),
            ("/data/local-files/?d=deep/link.png", "leads outside"),
            ("secret.png", "is no photograph in"),
            ("http://example.org/none.png", "is no photograph in"),
            ("/data/upload/3/0a1b2c3d-c.png", "may be 'also/c.png' or 'twice/c.png'"),
            ("broken.png", "cannot be read"),
            ("data:image/png;base64,AAAA", "is written into the task"),
            ("/".join(["a"] * 100_000) + ".png", "more than any path"),
            ("/".join(["a"] * 2000) + "/none.png", "is no photograph in"),
            ("a" * 4000 + ".png", "is no usable path"),
            ("a\0.png", "no prediction"),
            ("", "must be text"),
            (7, "must be text"),
            (["a.png"], "must be text"),
        ],
    )
    def test_what_is_none_gets_an_empty_prediction(
        self, photo: object, reason: str, address: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        good, bad = task("a.png"), task(photo)
        found = predict(address, bad, good, drawn=[box(1, "disc")])
        assert found[0]["result"] == [] and set(masks(found[1])) == {"disc"}
        assert reason in caplog.text and "no prediction" in caplog.text
        assert "Traceback" not in caplog.text and not any(r.levelno >= logging.ERROR for r in caplog.records)

    def test_one_of_another_size(self, address: str, caplog: pytest.LogCaptureFixture) -> None:
        (found,) = predict(address, task(), drawn=[{**box(1, "disc"), "original_width": 500}])
        assert found["result"] == [] and "no prediction" in caplog.text

    def test_it_is_read_again_when_its_file_changes(self, tmp_path: Path) -> None:
        from weakseg.integrations.found_photographs import FoundPhotographs

        Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
        photographs = FoundPhotographs(tmp_path)
        first = photographs.work_on(tmp_path / "a.png", lambda one: one)
        assert photographs.work_on(tmp_path / "a.png", lambda one: one) is first
        Image.new("RGB", (80, 60)).save(tmp_path / "a.png")
        assert photographs.work_on(tmp_path / "a.png", lambda one: one.size) == (60, 80)
        (tmp_path / "a.png").unlink()
        with pytest.raises(DataError, match="was it deleted"):
            photographs.work_on(tmp_path / "a.png", lambda one: one)


class TestHostileRequests:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b"", "cannot be read as JSON"),
            (b"{", "cannot be read as JSON"),
            (b"\xff\xfe", "cannot be read as JSON"),
            (b"[" * 100_000 + b"]" * 100_000, "cannot be read as JSON"),
            (b"[]", "no object"),
            (b"{}", "the labelling configuration is missing"),
            (json.dumps({"label_config": CONFIG}).encode(), "'tasks'"),
            (json.dumps({"label_config": CONFIG, "tasks": {"a": 1}}).encode(), "'tasks'"),
            (json.dumps({"label_config": "<View", "tasks": []}).encode(), "cannot be read"),
            (json.dumps({"label_config": '<!DOCTYPE x [<!ENTITY e "e">]><View>&e;</View>'}).encode(), "cannot be read"),
        ],
    )
    def test_what_is_no_request(self, body: bytes, said: str, address: str) -> None:
        status, told = post(address, "predict", body)
        assert status == 400 and said in told["error"]

    def test_pages_of_other_sites(self, address: str) -> None:
        status, told = post(address, "predict", b"{}", kind="text/plain")
        assert status == 415 and "application/json" in told["error"]

    def test_a_body_that_is_too_large(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(labelstudio, "MAX_BODY", 1000)
        status, told = post(address, "predict", b"{" + b" " * 2000 + b"}")
        assert status == 413 and "more than 1,000 bytes" in told["error"]

    @pytest.mark.parametrize(
        "drawn",
        [
            [7, None, "x", [], {}],
            {"a": 1},
            [keypoint(float("nan"), 3)],
            [keypoint(1e308, 3)],
            [keypoint(500, 3)],
            [keypoint(10, 10, "background")],
            [{**box(1, "disc"), "is_positive": False}],
            [{**box(1, "disc"), "image_rotation": 90}],
            [{**box(1, "disc"), "value": None}],
            [painted(1, "disc", original_width=10**9)],
            [{**painted(1, "disc"), "value": {"format": "rle", "rle": [1, 2], "brushlabels": ["disc"]}}],
            [keypoint(10, 10, "a\nb")],
        ],
    )
    def test_drawings_that_are_none(self, drawn: Any, address: str, caplog: pytest.LogCaptureFixture) -> None:
        (found,) = predict(address, task(), drawn=drawn)
        assert found["result"] == [] and "no prediction" in caplog.text and "Traceback" not in caplog.text
        assert not any(one.levelno >= logging.ERROR for one in caplog.records)

    @pytest.mark.parametrize("bad", [None, 7, [], {}, {"id": 1}, {"id": 1, "data": None}, {"data": {"photo": "a.png"}}])
    def test_one_bad_task_does_not_stop_the_rest(self, bad: object, address: str) -> None:
        good = task(annotations=[{"result": [box(1, "disc")]}])
        found = predict(address, bad, good)
        assert found[0]["result"] == [] and set(masks(found[1])) == {"disc"}

    def test_ten_thousand_clicks(self, address: str) -> None:
        rng = np.random.default_rng(0)
        clicks = [keypoint(*(rng.random(2) * SIZE), is_positive=False) for _ in range(10_000)]
        rows, columns = np.nonzero(scene()[1] == 1)
        (found,) = predict(address, task(), drawn=[*clicks, keypoint(rows.mean(), columns.mean())])
        assert "result" in found

    def test_health_is_told_while_it_computes(self, address: str) -> None:
        waiting = threading.Thread(target=predict, args=(address, *[task()] * 3), kwargs={"drawn": [box(1, "disc")]})
        waiting.start()
        slowest = 0.0
        while waiting.is_alive():
            start = time.perf_counter()
            with urllib.request.urlopen(f"{address}/health", timeout=30) as answer:
                assert answer.status == 200
            slowest = max(slowest, time.perf_counter() - start)
            time.sleep(0.02)
        waiting.join()
        assert slowest < 2


def test_label_studio_accepts_what_is_answered(address: str) -> None:
    """Its own check, of the package ``label-studio-sdk``; skipped where that is not installed."""
    interface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface(CONFIG)
    value = pytest.importorskip("label_studio_sdk.label_interface.objects").PredictionValue
    for drawn in ([box(1, "disc"), box(2, "square")], [painted(2, "square")]):
        (found,) = predict(address, task(), drawn=drawn)
        assert found["result"] and value(**found).score == found["score"]
        labels = [one for one in found["result"] if one["type"] == "brushlabels"]
        assert interface.validate_prediction({**found, "result": labels}, return_errors=True) == []
