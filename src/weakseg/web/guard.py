"""What stands before every request: the token, where it comes from, and how much it may bring."""

import base64
import binascii
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 32 << 20
HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
RUN_POLICY = (  # a run's pages run scripts of their own, and may come from anyone
    b"sandbox allow-scripts allow-downloads; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; "
    b"script-src 'unsafe-inline'; frame-ancestors 'none'"
)
OWN_HEADER = b"x-weakseg"
TOO_MUCH = f"more than {MOST_BYTES >> 20} MB; send less"


class _TooMuchError(Exception):
    """A body is longer than ``MOST_BYTES``."""


@dataclass(frozen=True)
class Guard:
    """Lets requests through that know the token, come from the page itself, and are not too long.

    Attributes:
        app: What is guarded; gets paths without the token.
        token: First part of every path.
        hosts: Names that the server is called by, in lower case; a page of another name that has been led here is
            refused. Empty: any, where a password is asked for.
        password: Of HTTP's basic authentication, whatever the user; empty: none.
        programs: First parts of paths, behind the token, by which other programs ask; they send JSON, which no page of
            another site can, and know nothing of the page's own header.
    """

    app: App
    token: str
    hosts: frozenset[str] = frozenset()
    password: str = ""
    programs: frozenset[str] = frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is not None:
            await _refuse(send, *refused)
            return
        path = "/" + scope["path"].lstrip("/").partition("/")[2]
        inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        limit = _Limit(receive)

        async def sent(message: Message) -> None:
            if limit.passed:  # what the application makes of its error
                return
            if message["type"] == "http.response.start":
                own = {name for name, _ in message.get("headers", ())}
                message = {
                    **message,
                    "headers": [*message.get("headers", ()), *(h for h in HEADERS if h[0] not in own)],
                }
            await send(message)

        try:
            await self.app(inner, limit.receive, sent)
        except _TooMuchError:
            await _refuse(send, 413, TOO_MUCH)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return status and reason of a refusal; ``None`` where nothing speaks against a request."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self.hosts and host.rpartition(":")[0] not in self.hosts and host not in self.hosts:
            return 421, "this server is not called so; open the address that the command has printed"
        if self.password and not self._knows_password(headers.get(b"authorization", b"")):
            return 401, "a password is asked for"
        first, slash, rest = scope["path"].lstrip("/").partition("/")
        if not (slash and hmac.compare_digest(first.encode("utf-8", "surrogatepass"), self.token.encode())):
            return 403, "wrong or missing token; open the whole address that the command has printed"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MOST_BYTES:
            return 413, TOO_MUCH
        if scope["method"] in ("GET", "HEAD") or rest.partition("/")[0] in self.programs:
            return None
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        site = headers.get(b"sec-fetch-site", b"same-origin")
        if OWN_HEADER not in headers or site != b"same-origin" or (origin and origin.partition("://")[2] != host):
            return 403, "changes are taken from the page itself alone"
        return None

    def _knows_password(self, given: bytes) -> bool:
        kind, _, coded = given.partition(b" ")
        try:
            _, _, word = base64.b64decode(coded, validate=True).partition(b":")
        except binascii.Error:
            return False
        return kind.lower() == b"basic" and hmac.compare_digest(word, self.password.encode())


class _Limit:
    """A stream of messages that ends with an error where a body is too long, whatever its header said."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._got = 0
        self.passed = False

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            _TooMuchError: If the body is too long.
        """
        message = await self._receive()
        self._got += len(message.get("body", b""))
        if self._got > MOST_BYTES:
            self.passed = True
            raise _TooMuchError
        return message


async def _refuse(send: Send, status: int, reason: str) -> None:
    asked = [(b"www-authenticate", b'Basic realm="weakseg", charset="UTF-8"')] if status == 401 else []
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *HEADERS, *asked]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
