"""An HTTP server that answers as a model hub does, for what the real huggingface_hub asks in tests."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import yaml

from local_server import serving

TOKEN = "hf_of_anna"
COMMIT = "0" * 40


@dataclass
class FakeHub:
    """A hub of one user, ``anna``.

    Attributes:
        repositories: Content of the files of each repository, by their names.
        private: Which of them are private.
        commits: Title of each commit.
        requests: Method and path of each request.
        refuse: Status of the answer by method and a part of the path.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    refuse: dict[tuple[str, str], int] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def served(hub: FakeHub) -> Iterator[str]:
    """Serve a hub on a free port of this machine, and yield the address."""
    with serving(type("Handler", (_Handler,), {"hub": hub})) as address:
        yield address


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        path = urlsplit(self.path).path
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.requests.append((method, path))
        for (refused, part), status in self.hub.refuse.items():
            if refused == method and part in path:
                return self._send(status, {"error": "not today"})
        if method == "PUT":
            self.hub.large[hashlib.sha256(content).hexdigest()] = content
            return self._send(200, {})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(401, {"error": "Invalid credentials in Authorization header"})
        if path == "/api/repos/create":
            return self._create(json.loads(content))
        if path == "/api/validate-yaml":
            return self._validate(json.loads(content)["content"])
        return self._of_repository(path, content)

    def _create(self, told: dict[str, Any]) -> None:
        name = f"{told['organization']}/{told['name']}"
        if told["organization"] != "anna":
            return self._send(403, {"error": "You don't have the rights to create a model under this namespace"})
        self.hub.repositories[name] = {".gitattributes": b"*.safetensors filter=lfs\n"}
        self.hub.private[name] = told.get("visibility") == "private" or bool(told.get("private"))
        return self._send(200, {"url": f"http://{self.headers['Host']}/{name}"})

    def _validate(self, card: str) -> None:
        fields = yaml.safe_load(card.split("---\n")[1])
        known = fields.get("license") in ("apache-2.0", "mit", "other")
        errors = [] if known else [{"message": '"license" must be one of the known ones'}]
        return self._send(400 if errors else 200, {"errors": errors, "warnings": []})

    def _of_repository(self, path: str, content: bytes) -> None:
        name = "/".join(path.removeprefix("/api/models").strip("/").split("/")[:2]).removesuffix(".git")
        if name not in self.hub.repositories:
            return self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        files = self.hub.repositories[name]
        if "/tree/" in path:
            return self._send(200, [_entry(one, held) for one, held in files.items()])
        if "/preupload/" in path:
            asked = [told["path"] for told in json.loads(content)["files"]]
            modes = [{"path": one, "uploadMode": _mode(one), "shouldIgnore": False, "oid": None} for one in asked]
            return self._send(200, {"files": modes})
        if path.endswith("/info/lfs/objects/batch"):
            return self._send(
                200, {"transfer": "basic", "objects": [self._upload(o) for o in json.loads(content)["objects"]]}
            )
        if "/commit/" in path:
            return self._commit(name, [json.loads(line) for line in content.splitlines()])
        return self._send(200, {"id": name, "sha": COMMIT, "private": self.hub.private[name], "siblings": []})

    def _upload(self, told: dict[str, Any]) -> dict[str, Any]:
        place = f"http://{self.headers['Host']}/large/{told['oid']}"
        return {**told, "actions": {"upload": {"href": place, "header": {}}}}

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        files = self.hub.repositories[name]
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.hub.commits.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        url = f"http://{self.headers['Host']}/{name}/commit/{COMMIT}"
        self._send(200, {"success": True, "commitUrl": url, "commitOid": COMMIT, "pullRequestUrl": None})

    def _send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        told = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
        for name, text in told.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)


def _mode(name: str) -> str:
    return "lfs" if name.endswith((".safetensors", ".png")) else "regular"


def _entry(name: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
