"""The page's server: what a browser asks for, and what it is answered."""

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from weakseg.data.paths import inside
from weakseg.errors import DataError, OutputError, WeaksegError
from weakseg.web.entry import Entry
from weakseg.web.guard import MOST_BYTES, RUN_POLICY
from weakseg.web.labels import StaleError
from weakseg.web.page import Page

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
RUN_TYPES = {
    ".html": "text/html",
    ".png": "image/png",
    ".csv": "text/csv",
    ".json": "application/json",
    ".safetensors": "application/octet-stream",
}
Handler = Callable[[Request], Awaitable[Response]]


class Server:
    """Answers requests about one page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._pictures = anyio.CapacityLimiter(2)  # each decodes a whole photograph

    def app(self, more: Sequence[Route] = ()) -> Starlette:
        """Return the application; paths are without the token.

        Args:
            more: Further routes.
        """
        routes = [
            Route("/", self.index),
            Route("/static/{name}", self.static),
            Route("/api/state", _told(self.state)),
            Route("/api/photograph", _told(self.photograph)),
            Route("/api/image", _told(self.image)),
            Route("/api/mask", _told(self.mask)),
            Route("/api/queue", _told(self.queue)),
            Route("/api/train", _told(self.train), methods=["GET", "POST"]),
            Route("/api/record", _told(self.record), methods=["POST"]),
            Route("/api/classes", _told(self.classes), methods=["POST"]),
            Route("/api/{verdict:str}", _told(self.verdict), methods=["POST"]),
            Route("/run/{path:path}", _told(self.run_file)),
            *more,
        ]
        return Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={404: _missing, 405: _missing})

    async def index(self, request: Request) -> Response:
        """The page itself."""
        return _static("index.html")

    async def static(self, request: Request) -> Response:
        """A file of the page."""
        return _static(request.path_params["name"])

    async def state(self, request: Request) -> Response:
        """All photographs, and how they stand."""
        return JSONResponse(await _aside(self.page.state))

    async def photograph(self, request: Request) -> Response:
        """One photograph's record; what its first mark will need is computed meanwhile."""
        found = await _aside(partial(self.page.photograph, _id_of(request)))
        return JSONResponse(found)

    async def image(self, request: Request) -> Response:
        """A photograph as JPEG."""
        side = request.query_params.get("side", "2048")
        if not side.isdigit() or len(side) > 6:
            raise DataError(f"side: must be a number of pixels, got {side!r:.40}")
        work = partial(self.page.album.picture, _id_of(request), int(side))
        content = await anyio.to_thread.run_sync(work, limiter=self._pictures)
        return Response(content, media_type="image/jpeg", headers={"cache-control": "private, max-age=60"})

    async def mask(self, request: Request) -> Response:
        """The mask of a revision, or a newer one, as soon as it is there; a first one, too, but with ``final=1``."""
        image_id, text = _id_of(request), request.query_params.get("revision", "")
        if not text.isdigit() or len(text) > 9:
            raise DataError(f"revision: must be a number, got {text!r:.40}")
        revision = int(text)
        await _aside(partial(self.page.ask_mask, image_id, revision))
        drafts = request.query_params.get("final") != "1"
        answer = await self.page.worker.wait(image_id, revision, drafts=drafts)
        if answer is None:
            return JSONResponse({"error": "the mask is not there yet; ask again"}, 503)
        if answer.error:
            return JSONResponse({"error": answer.error, "revision": answer.revision}, 422)
        if answer.shown is None:
            return Response(status_code=204)
        told = await _aside(partial(answer.shown.as_json, answer.revision))
        return JSONResponse({**told, "draft": answer.draft})

    async def queue(self, request: Request) -> Response:
        """What to draw next."""
        first = request.query_params.get("first", "50")
        number = int(first) if first.isdigit() and len(first) < 6 else 50
        return JSONResponse({"queue": await _aside(partial(self.page.queue, number))})

    async def train(self, request: Request) -> Response:
        """How the run stands; or start and stop it."""
        if request.method == "POST":
            action = (await _body(request)).get("action")
            if action not in ("start", "stop"):
                raise DataError("action: must be start or stop")
            training = self.page.training
            await _aside(partial(training.start, self.page.book.entries) if action == "start" else training.stop)
        return JSONResponse(await _aside(self.page.trained_state))

    async def record(self, request: Request) -> Response:
        """Store what is said of a photograph."""
        body = await _body(request)
        record = body.get("record")
        if not isinstance(record, dict):
            raise DataError("record: must be an object")
        change = partial(self.page.put, _text(body, "id"), _revision_of(body), record)
        return await self._changed(change, body)

    async def verdict(self, request: Request) -> Response:
        """Accept a mask, reject it, or open it again."""
        word = request.path_params["verdict"]
        verdicts = self.page.verdicts
        changes = {"accept": verdicts.accept, "reject": verdicts.reject, "reopen": verdicts.reopen}
        if word not in changes:
            return await _missing(request, None)
        body = await _body(request)
        effort = {"effort": {"seconds": body["seconds"]}} if "seconds" in body else {}
        image_id, revision = _text(body, "id"), _revision_of(body)
        change = partial(changes[word], image_id, revision, effort)
        if word == "accept" and isinstance(body.get("of"), int):
            change = partial(verdicts.accept_again, image_id, revision, body["of"], effort)
        return await self._changed(change, body)

    async def classes(self, request: Request) -> Response:
        """Add, rename or remove a class."""
        body = await _body(request)
        before = dict(self.page.book.entries)
        await _aside(partial(self.page.change_classes, body))
        after = self.page.book.entries
        revisions = {i: one.revision for i, one in after.items() if i in before and one.revision != before[i].revision}
        told = {"classes": self.page.classes(), "revisions": revisions, "notice": self.page.all_notices()}
        return JSONResponse(told)

    async def run_file(self, request: Request) -> Response:
        """A file of the run folder; none that is hidden."""
        name = request.path_params["path"]
        if self.page.training.is_elsewhere:
            return await _missing(request, None)
        path = inside(self.page.training.folder.resolve(), name, "run")
        suffix = path.suffix.lower()
        if suffix not in RUN_TYPES or not path.is_file() or any(part.startswith(".") for part in Path(name).parts):
            return await _missing(request, None)
        headers = {"content-security-policy": RUN_POLICY.decode()}
        return FileResponse(path, media_type=RUN_TYPES[suffix], headers=headers)

    async def _changed(self, change: Callable[[], Entry], body: dict[str, Any]) -> Response:
        """Make a change, and answer with what is stored now; where another was quicker, with that."""
        image_id = _text(body, "id")
        try:
            entry = await _aside(change)
        except StaleError as error:
            now = self.page.book.entry(image_id)
            told = {"error": str(error), "revision": now.revision, "record": self.page.sent(image_id, now)}
            return JSONResponse(told, 409)
        with contextlib.suppress(WeaksegError):  # the mask is asked for next, and says then what is wrong
            await _aside(partial(self.page.ask_mask, image_id, entry.revision))
        told = {"revision": entry.revision, "record": self.page.sent(image_id, entry), **self.page.standing(image_id)}
        return JSONResponse({**told, "notice": self.page.all_notices()})

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self.page.worker.start()
        yield
        self.page.worker.stop()
        await _aside(self.page.training.stop)


async def _aside(work: Callable[[], Any]) -> Any:
    """Run what takes time beside the loop."""
    return await anyio.to_thread.run_sync(work)


def _told(handler: Handler) -> Handler:
    """Return a handler whose errors become answers that may be shown as they are."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except OutputError as error:
            return JSONResponse({"error": str(error)}, 507)
        except WeaksegError as error:
            return JSONResponse({"error": str(error)}, 400)
        except Exception as error:
            logger.exception("%s %s", request.method, request.url.path)
            return JSONResponse({"error": f"this is a bug of weakseg: {error!r:.300}"}, 500)

    return answer


async def _missing(request: Request, error: Exception | None) -> Response:
    return JSONResponse({"error": "there is nothing at this address"}, getattr(error, "status_code", 404))


def _static(name: str) -> Response:
    path = STATIC / name
    if "/" in name or "\\" in name or path.suffix not in TYPES or not path.is_file():
        return JSONResponse({"error": "there is no such file"}, 404)
    return FileResponse(path, media_type=TYPES[path.suffix], headers={"cache-control": "no-cache"})


async def _body(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request brings.

    Raises:
        DataError: If it is none.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise DataError("content-type: must be application/json")
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise DataError(f"the body is no JSON ({error!r:.200}), or more than {MOST_BYTES >> 20} MB") from error
    if not isinstance(found, dict):
        raise DataError("the body must be an object")
    return found


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise DataError(f"{key}: must be text")
    return value


def _revision_of(body: dict[str, Any]) -> int:
    value = body.get("revision")
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise DataError("revision: must be a number")
    return value


def _id_of(request: Request) -> str:
    return request.query_params.get("id", "")
