"""Label Studio's ML backend: masks while somebody draws, and for tasks that say what they show.

Label Studio asks ``/health`` and ``/setup`` when it is connected, ``/predict`` for predictions, and tells ``/webhook``
what was annotated. Photographs are those of one folder; none is fetched.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from weakseg.data.values import as_list
from weakseg.errors import DataError
from weakseg.files import json_value
from weakseg.integrations.found_photographs import FoundPhotographs
from weakseg.integrations.labelstudio_tasks import MODEL_VERSION, answer
from weakseg.integrations.labelstudio_view import read_view

__all__ = ["app", "routes"]

logger = logging.getLogger(__name__)

MAX_BODY = 64 * 2**20  # bytes of a request: brush strokes of a large photograph are some megabytes
_Answer = Callable[[dict[str, Any], Request], Awaitable[dict[str, Any]]]


def routes(root: Path, classes: Sequence[str] = (), *, prefix: str = "") -> list[Route]:
    """Return the routes of the backend, for a server to mount.

    Args:
        root: Folder of the photographs; nothing outside it is opened.
        classes: Names that the labels of a project should be among; others get masks too, and a warning when the
            project is connected. Empty: any.
        prefix: Before each path, such as ``/label-studio``.

    Raises:
        DataError: If there is no such folder.
    """
    backend = _Backend(FoundPhotographs(root), tuple(classes))
    posts: dict[str, _Answer] = {
        "setup": backend.setup,
        "predict": backend.predict,
        "webhook": backend.webhook,
    }
    return [
        Route(f"{prefix}/health", backend.health, methods=["GET"]),
        Route(f"{prefix}/versions", backend.versions, methods=["GET", "POST"]),
        *(Route(f"{prefix}/{name}", partial(_posted, work), methods=["POST"]) for name, work in posts.items()),
    ]


def app(root: Path, classes: Sequence[str] = ()) -> Starlette:
    """Return a server of nothing but the backend, for uvicorn."""
    return Starlette(routes=routes(root, classes))


class _Backend:
    """What the routes do."""

    def __init__(self, photographs: FoundPhotographs, classes: tuple[str, ...]) -> None:
        self._photographs, self._classes = photographs, classes
        self._one = CapacityLimiter(1)  # or requests that wait would take all threads of the server

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "UP", "model_class": "weakseg"})

    async def setup(self, body: dict[str, Any], request: Request) -> dict[str, Any]:
        """Check the labelling configuration of a project that is connected."""
        view = read_view(body.get("schema"))
        if unknown := [label for label in view.labels if self._classes and label not in self._classes]:
            logger.warning(
                "Label Studio: %s: no classes here (%s)", ", ".join(map(repr, unknown)), ", ".join(self._classes)
            )
        return {"model_version": MODEL_VERSION}

    async def predict(self, body: dict[str, Any], request: Request) -> dict[str, Any]:
        """Return a prediction for each task, in a thread; once nobody waits any longer, no further one is made."""
        view, tasks = read_view(body.get("label_config")), as_list(body.get("tasks"), "'tasks'", "request")
        params = body.get("params")
        context = params.get("context") if isinstance(params, dict) else None
        results = []
        for number, task in enumerate(tasks):
            if await request.is_disconnected():
                logger.warning("Label Studio: did not wait for %d of %d predictions", len(tasks) - number, len(tasks))
                break
            work = partial(answer, task, f"tasks[{number}]", view, context, self._photographs)
            results.append(await to_thread.run_sync(work, limiter=self._one))
        return {"results": results, "model_version": MODEL_VERSION}

    async def webhook(self, body: dict[str, Any], request: Request) -> dict[str, Any]:
        """Say that nothing is trained by events: what was annotated comes by Label Studio's export."""
        action = body.get("action")
        logger.info("Label Studio: event %.100r; nothing is trained by it: export the annotations, and run", action)
        return {"status": "ignored", "reason": "weakseg trains from an export of the annotations, not from events"}

    async def versions(self, request: Request) -> Response:
        return JSONResponse({"versions": [MODEL_VERSION]})


async def _posted(work: _Answer, request: Request) -> Response:
    """Return the answer to a JSON object, or a typed error as Label Studio shows it.

    Other types of content are refused: a browser sends those from any page, JSON only where the server agrees.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return JSONResponse({"error": f"request: its type is {kind!r:.60}; send application/json"}, 415)
    try:
        content = await _content(request)
    except DataError as error:
        return JSONResponse({"error": str(error)}, 413)
    try:
        body = json_value(content.decode())
        if not isinstance(body, dict):
            raise ValueError(f"it is {type(body).__name__}, no object")
    except ValueError as error:
        return JSONResponse({"error": f"request: cannot be read as JSON: {error!s:.200}; send an object"}, 400)
    try:
        return JSONResponse(await work(body, request))
    except DataError as error:
        logger.warning("Label Studio: %s", error)
        return JSONResponse({"error": str(error)}, 400)


async def _content(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        DataError: If it is too large.
    """
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MAX_BODY:
            raise DataError(f"request: more than {MAX_BODY:,} bytes; send fewer tasks at once")
    return bytes(content)
