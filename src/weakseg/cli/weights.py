"""``weakseg weights``."""

from collections.abc import Sequence
from pathlib import Path

from weakseg.cli.common import build_parser, parse
from weakseg.errors import ConfigError
from weakseg.nn.published import PUBLISHED, add_weights, get_weights, place_of, sha256_of
from weakseg.settings.rules import spoken

WITH_NAME = {"get": "a name: " + ", ".join(PUBLISHED), "add": "a file of weights"}


def main(words: Sequence[str]) -> int:
    """Fetch published weights into the user's cache, take a file of them, or list them."""
    parser = build_parser(
        "weights",
        "Weights that others have published, and that a setting asks for: fetch them into the cache of this user "
        "(WEAKSEG_CACHE, else the system's folder for caches), take a file of them that is there already, or list what "
        "there is. Their SHA-256 is checked.",
        "  weakseg weights get u2netp\n  weakseg weights add u2netp.onnx\n  weakseg weights list",
    )
    parser.add_argument("action", type=str, help="get, add or list")
    parser.add_argument("what", type=str, nargs="?", default="", help="get: a name; add: a file")
    given = parse(parser, words)
    if given.action not in (*WITH_NAME, "list"):
        raise ConfigError(f"weights {given.action}: no such action; there are 'get', 'add' and 'list'")
    if bool(given.what) != (given.action in WITH_NAME):
        wanted = f"give {WITH_NAME[given.action]}" if given.action in WITH_NAME else "it takes no name"
        raise ConfigError(f"weights {given.action}: {wanted}")
    print({"get": _get, "add": _add, "list": _list}[given.action](given.what))
    return 0


def _get(name: str) -> str:
    if name not in PUBLISHED:
        raise ConfigError(f"weights get: no weights are called {name!r}; there are {spoken(tuple(PUBLISHED))}")
    return f"{name}: {get_weights(name)}"


def _add(file: str) -> str:
    name, path = add_weights(Path(file).expanduser())
    return f"{name}: {path}"


def _list(_: str) -> str:
    return "\n".join(map(_described, PUBLISHED))


def _described(name: str) -> str:
    one, path = PUBLISHED[name], place_of(name)
    state = "not there" if not path.is_file() else "there" if sha256_of(path) == one.sha256 else "damaged"
    return f"{name}: {one.about}; {one.num_bytes / 1e6:.1f} MB\n  {state}: {path}\n  {one.url}"
