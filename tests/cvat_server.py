"""An HTTP server that answers as CVAT's interface describes, for what the real cvat-sdk asks in tests."""

import io
import itertools
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from local_server import serving

USER, PASSWORD, TOKEN = "anna", "secret word", "token-of-anna"
CREATED = "2026-01-02T03:04:05.678901Z"


@dataclass
class FakeTask:
    """One task: what is in it, and what was asked.

    Attributes:
        photographs: ``(H, W, 3)`` uint8 by name of the frame.
        labels: Type by name; numbers are 101, 102, ...
        shapes: Of the interface, with ``id``.
        deleted: Numbers of frames that are deleted.
        tags: Of the interface.
        refuse: Status of the answer by method and a part of the path, once each.
    """

    photographs: Mapping[str, NDArray[np.uint8]]
    labels: Mapping[str, str]
    number: int = 12
    shapes: list[dict[str, Any]] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    deleted: tuple[int, ...] = ()
    dimension: str = "2d"
    video: bool = False
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    refuse: dict[tuple[str, str], int] = field(default_factory=dict)
    spoiled: dict[str, bytes] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1000))

    @property
    def label_ids(self) -> dict[str, int]:
        return {name: 101 + index for index, name in enumerate(self.labels)}

    @property
    def names(self) -> list[str]:
        return list(self.photographs)

    def draw(self, kind: str, label: str, frame: int, points: list[float], **more: Any) -> None:
        """Add a shape as the interface gives it."""
        shape = {"type": kind, "label_id": self.label_ids[label], "frame": frame, "points": points}
        usual = {"occluded": False, "outside": False, "z_order": 0, "rotation": 0.0, "group": 0, "source": "manual"}
        self.shapes.append({**shape, **usual, "id": next(self.ids), "attributes": [], "elements": [], **more})

    def written(self) -> list[tuple[str, str]]:
        """Return the requests that change something, logging in and out and exports apart."""
        quiet = ("/api/auth/", "/dataset/export")
        return [(m, path) for m, path, _ in self.requests if m != "GET" and not any(one in path for one in quiet)]

    def as_xml(self) -> str:
        """Return the export "CVAT for images 1.1"."""
        names = {number: name for name, number in self.label_ids.items()}
        labels = "".join(f"<label><name>{name}</name><color>#ff0000</color></label>" for name in self.labels)
        images = []
        for number, (name, photograph) in enumerate(self.photographs.items()):
            if number in self.deleted:
                continue
            inside = [_element(shape, names) for shape in self.shapes if shape["frame"] == number]
            inside += [f"<tag label={quoteattr(names[t['label_id']])}/>" for t in self.tags if t["frame"] == number]
            size = 'width="{1}" height="{0}"'.format(*photograph.shape)
            images.append(f'<image id="{number}" name={quoteattr(name)} {size}>{"".join(inside)}</image>')
        head = f"<version>1.1</version><meta><task><labels>{labels}</labels></task></meta>"
        return f'<?xml version="1.0" encoding="utf-8"?><annotations>{head}{"".join(images)}</annotations>'


def _element(shape: Mapping[str, Any], names: Mapping[int, str]) -> str:
    kind, points = shape["type"], shape["points"]
    common = f'label={quoteattr(names[shape["label_id"]])} source="{shape["source"]}" z_order="{shape["z_order"]}"'
    if kind == "rectangle":
        return '<box {} xtl="{}" ytl="{}" xbr="{}" ybr="{}"/>'.format(common, *points)
    if kind == "mask":
        *runs, left, top, right, bottom = map(int, points)
        size = f'left="{left}" top="{top}" width="{right - left + 1}" height="{bottom - top + 1}"'
        return f'<mask {common} rle="{", ".join(map(str, runs))}" {size}/>'
    places = ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(points[::2], points[1::2], strict=True))
    return f'<{kind} {common} points="{places}"/>'


@contextmanager
def served(task: FakeTask) -> Iterator[str]:
    """Serve a task on a free port of this machine, and yield the address."""
    with serving(type("Handler", (_Handler,), {"task": task})) as address:
        yield address


class _Handler(BaseHTTPRequestHandler):
    task: FakeTask
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        place = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(content) if content else None
        self.task.requests.append((method, f"{place.path}{f'?{place.query}' if place.query else ''}", body))
        for (refused, part), status in self.task.refuse.items():
            if refused == method and part in place.path:
                return self._send(status, {"detail": "not today"})
        if place.path == "/api/auth/login" and method == "POST":
            return self._login(body)
        if place.path == "/api/server/about":
            told = {"name": "CVAT", "description": "", "version": "2.80.0", "logo_url": "", "subtitle": ""}
            return self._send(200, told)
        if not self._is_known():
            return self._send(401, {"detail": "Authentication credentials were not provided."})
        return self._answer_known(method, place.path.rstrip("/"), query, body)

    def _login(self, body: Any) -> None:
        if (body["username"], body["password"]) != (USER, PASSWORD):
            return self._send(400, {"non_field_errors": ["Unable to log in with provided credentials."]})
        return self._send(200, {"key": "a key"}, {"Set-Cookie": ["sessionid=of-anna; Path=/", "csrftoken=c; Path=/"]})

    def _is_known(self) -> bool:
        bearer = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        return bearer or "sessionid=of-anna" in (self.headers.get("Cookie") or "")

    def _answer_known(self, method: str, path: str, query: Mapping[str, str], body: Any) -> None:
        task, root = self.task, f"/api/tasks/{self.task.number}"
        if path == "/api/auth/logout":
            return self._send(200, {"detail": "out"})
        if path == "/api/labels":
            return self._send(200, _page([_label(task, name) for name in task.labels]))
        if path == "/api/requests/rq-1":
            return self._send(200, _request(f"http://{self.headers['Host']}/exported.zip"))
        if path == "/exported.zip":
            return self._send_bytes(task.spoiled.get("export") or _zipped(task.as_xml()), "application/zip")
        if not (path == root or path.startswith(f"{root}/")):
            return self._send(404, {"detail": "Not found."})
        rest = path.removeprefix(root)
        if rest == "":
            return self._send(200, _task(task))
        if rest == "/data/meta":
            return self._send(200, _meta(task))
        if rest == "/data":
            return self._data(query)
        if rest == "/dataset/export" and method == "POST":
            return self._send(202, {"rq_id": "rq-1"})
        if rest == "/annotations":
            return self._annotations(method, query, body)
        return self._send(404, {"detail": "Not found."})

    def _data(self, query: Mapping[str, str]) -> None:
        number = int(query["number"])
        if query["type"] == "frame":
            name = self.task.names[number]
            return self._send_bytes(self.task.spoiled.get(name) or encoded(self.task.photographs[name]), "image/png")
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as file:
            for index, photograph in enumerate(self.task.photographs.values()):
                file.writestr(f"{index:06d}.png", encoded(photograph))
        return self._send_bytes(held.getvalue(), "application/zip")

    def _annotations(self, method: str, query: Mapping[str, str], body: Any) -> None:
        if method == "PATCH" and query["action"] == "delete":
            gone = {shape["id"] for shape in body["shapes"]}
            self.task.shapes[:] = [shape for shape in self.task.shapes if shape["id"] not in gone]
        elif method in ("PATCH", "PUT"):
            if method == "PUT":
                self.task.shapes.clear()
            for shape in body["shapes"]:
                more = {
                    key: value for key, value in shape.items() if key not in ("type", "label_id", "frame", "points")
                }
                names = {number: name for name, number in self.task.label_ids.items()}
                self.task.draw(shape["type"], names[shape["label_id"]], shape["frame"], shape["points"], **more)
        self._send(200, {"version": 1, "tags": self.task.tags, "shapes": self.task.shapes, "tracks": []})

    def _send(self, status: int, value: Any, headers: Mapping[str, list[str]] | None = None) -> None:
        self._send_bytes(json.dumps(value).encode(), "application/vnd.cvat+json", status, headers)

    def _send_bytes(
        self, content: bytes, kind: str, status: int = 200, headers: Mapping[str, list[str]] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in ((name, value) for name, values in (headers or {}).items() for value in values):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def encoded(photograph: NDArray[np.uint8]) -> bytes:
    """Return a photograph as PNG."""
    held = io.BytesIO()
    Image.fromarray(photograph).save(held, "PNG")
    return held.getvalue()


def _zipped(text: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("annotations.xml", text)
    return held.getvalue()


def _task(task: FakeTask) -> dict[str, Any]:
    storage = {"id": 1, "location": "local", "cloud_storage_id": None}
    return {
        "url": f"http://cvat/api/tasks/{task.number}",
        "id": task.number,
        "name": "cats",
        "project_id": None,
        "project_name": None,
        "mode": "interpolation" if task.video else "annotation",
        "owner": {"url": "http://cvat/api/users/1", "id": 1, "username": USER, "first_name": "", "last_name": ""},
        "assignee": None,
        "bug_tracker": "",
        "created_date": CREATED,
        "updated_date": CREATED,
        "overlap": 0,
        "segment_size": len(task.photographs),
        "status": "annotation",
        "data_chunk_size": 72,
        "data_compressed_chunk_type": "imageset",
        "data_original_chunk_type": "imageset",
        "size": len(task.photographs),
        "image_quality": 70,
        "data": 3,
        "dimension": task.dimension,
        "subset": "",
        "organization": None,
        "organization_id": None,
        "target_storage": storage,
        "source_storage": storage,
        "jobs": {"count": 1, "completed": 0, "validation": 0, "url": "http://cvat/api/jobs?task_id=12"},
        "labels": {"url": "http://cvat/api/labels?task_id=12"},
    }


def _label(task: FakeTask, name: str) -> dict[str, Any]:
    usual = {"color": "#ff6037", "attributes": [], "sublabels": [], "has_parent": False, "task_id": task.number}
    return {"id": task.label_ids[name], "name": name, "type": task.labels[name], **usual}


def _meta(task: FakeTask) -> dict[str, Any]:
    frames = [
        {"name": name, "width": p.shape[1], "height": p.shape[0], "related_files": 0, "has_related_context": False}
        for name, p in task.photographs.items()
    ]
    frames = [{**frames[0], "name": "film.mp4"}] if task.video else frames
    return {
        "chunk_size": 72,
        "size": len(task.photographs),
        "image_quality": 70,
        "start_frame": 0,
        "stop_frame": len(task.photographs) - 1,
        "frame_filter": "",
        "chunks_updated_date": CREATED,
        "frames": frames,
        "deleted_frames": list(task.deleted),
        "included_frames": None,
        "chapters": None,
        "storage": "local",
        "cloud_storage_id": None,
    }


def _request(url: str) -> dict[str, Any]:
    operation = {"type": "export:dataset", "target": "task", "task_id": 12, "format": "CVAT for images 1.1"}
    return {
        "id": "rq-1",
        "status": "finished",
        "message": "",
        "progress": 1.0,
        "operation": operation,
        "created_date": CREATED,
        "result_url": url,
    }


def _page(results: list[Any]) -> dict[str, Any]:
    return {"count": len(results), "next": None, "previous": None, "results": results}
