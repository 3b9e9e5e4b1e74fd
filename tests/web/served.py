"""A page that is served in this process, over a real connection."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image

from weakseg.web.album import Album
from weakseg.web.labels import LabelBook
from weakseg.web.page import LABELS_FILE, Page
from weakseg.web.serve import Place, guarded

TOKEN = "secret"


@dataclass
class Answered:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    """A page, and its address."""

    page: Page
    port: int

    @property
    def address(self) -> str:
        """What a browser opens."""
        return f"http://127.0.0.1:{self.port}/{TOKEN}/"

    def get(self, path: str, *, token: str = TOKEN, **headers: str) -> Answered:
        return self.ask("GET", f"/{token}/{path}", None, headers)

    def post(self, path: str, value: object, *, token: str = TOKEN, **headers: str) -> Answered:
        own = {"content-type": "application/json", "x-weakseg": "1", **headers}
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.ask("POST", f"/{token}/{path}", body, own)

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answered:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Answered(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def save(self, image_id: str, revision: int, **record: object) -> Answered:
        return self.post("api/record", {"id": image_id, "revision": revision, "record": record})


@contextmanager
def serving(
    folder: Path, classes: tuple[str, ...] = ("cat", "dog"), run: Path | None = None, *, label_studio: bool = False
) -> Iterator[Served]:
    """Yield the page of a folder while it is served."""
    page = Page(Album(folder), LabelBook((folder / LABELS_FILE).resolve(), classes), run)
    place = Place("127.0.0.1", 0, TOKEN)
    listening = place.listen()
    app = guarded(page, place, label_studio=label_studio)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Served(page, listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()


def write_photographs(folder: Path, *names: str, size: tuple[int, int] = (48, 64)) -> Path:
    """Write photographs with a red square on a green ground, and return the folder."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[..., 1] = 120
    pixels[size[0] // 4 : size[0] * 3 // 4, size[1] // 4 : size[1] * 3 // 4] = (200, 30, 30)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder
