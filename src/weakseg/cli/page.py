"""``weakseg page``."""

import secrets
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.common import build_parser, parse
from weakseg.cli.proposers import add_proposer, with_proposer
from weakseg.errors import ConfigError, DataError
from weakseg.photograph.config import SegmentOptions

if TYPE_CHECKING:
    from weakseg.web.page import Page

PORT = 8765


def main(words: Sequence[str]) -> int:
    """Serve a page on which photographs of a folder are labelled."""
    given = parse(_parser(), words)
    try:
        import uvicorn

        from weakseg.web.serve import Place, announce, guarded, is_loopback
    except ImportError as error:
        raise ConfigError("weakseg page: needs more packages; run: pip install 'weakseg[page]'") from error

    _check(given, is_local=is_loopback(given.host))
    place, page = Place(given.host, given.port, secrets.token_urlsafe(18), _password(given)), _page(given)
    with place.listen() as listening:
        print(announce(page, place, listening, label_studio=given.label_studio), flush=True)
        if given.browser and place.is_local:
            webbrowser.open(place.address(listening))
        app = guarded(page, place, label_studio=given.label_studio)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3)
        uvicorn.Server(config).run(sockets=[listening])
    return 0


def _page(given: Namespace) -> "Page":
    from weakseg.data.paths import read_classes
    from weakseg.methods.finished import is_finished
    from weakseg.web.album import Album
    from weakseg.web.labels import LabelBook
    from weakseg.web.page import LABELS_FILE, Page

    if not given.folder.is_dir():
        what = "is a file; give its folder" if given.folder.is_file() else "no such folder; give one of photographs"
        raise DataError(f"{given.folder}: {what}")
    if given.run is not None and not is_finished(given.run):
        raise DataError(f"--run: {given.run} is no folder of a run; weakseg run makes one")
    labels = (given.labels or given.folder / LABELS_FILE).expanduser().resolve()
    if given.labels is None and not labels.is_relative_to(given.folder.resolve()):
        raise DataError(f"{given.folder / LABELS_FILE}: is a link that leads outside; name that file by --labels")
    classes = tuple(name.strip() for name in given.classes.split(",") if name.strip())
    book = LabelBook(labels, classes)
    if given.run is not None and book.classes is None:
        book = LabelBook(labels, read_classes(given.run, ()) or ())
    return Page(Album(given.folder), book, given.run, with_proposer(SegmentOptions(), given))


def _parser() -> ArgumentParser:
    parser = build_parser(
        "page",
        "Label the photographs of a folder in a browser: draw a box, a stroke or a click, see the mask at once,\n"
        "correct it, be told what to draw next, train, and take the model away. Every mark is on disk at once, in\n"
        "FOLDER/weakseg.json, which all other commands read (--data.format weakseg). Ctrl-C stops; nothing is lost.\n"
        "The page is served to this computer alone, under an address that nobody can guess.",
        "  weakseg page photos --classes cow,sheep\n"
        "  weakseg page photos --run out            # with the masks and the segmenter of a run\n"
        "  weakseg page photos --port 9000 --browser false",
    )
    parser.add_argument("folder", type=Path, help="folder of photographs")
    parser.add_argument("--labels", type=Path, help="file of labels; default: FOLDER/weakseg.json")
    parser.add_argument("--classes", type=str, default="", help="class names, by commas; more may follow later")
    parser.add_argument("--run", type=Path, help="run folder whose masks and segmenter are used")
    add_proposer(parser, device=True)
    parser.add_argument("--port", type=int, default=PORT, help="0: any that is free")
    parser.add_argument("--host", type=str, default="127.0.0.1", help="beyond this computer it needs --password-file")
    parser.add_argument("--password-file", type=Path, help="file whose first line is the password that is asked for")
    parser.add_argument("--label-studio", action="store_true", help="answer Label Studio as its ML backend, too")
    parser.add_argument("--browser", type=bool, default=True, help="open a browser where there is one")
    return parser


def _check(given: Namespace, *, is_local: bool) -> None:
    """Refuse addresses that do not exist, and to serve others without a password."""
    if not 0 <= given.port <= 65535:
        raise ConfigError(f"--port: must lie in [0, 65535], got {given.port}")
    if not is_local and given.password_file is None:
        raise ConfigError(
            f"--host {given.host}: others could reach the page; give --password-file, a file with the password that "
            "they need, or leave --host out. Passwords and photographs pass unencrypted: put a TLS proxy before it"
        )


def _password(given: Namespace) -> str:
    if given.password_file is None:
        return ""
    try:
        lines = given.password_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--password-file: {given.password_file} cannot be read ({error})") from error
    if not lines or len(lines[0].strip()) < 8:
        raise ConfigError(f"--password-file: {given.password_file} must begin with a password of 8 letters or more")
    return str(lines[0].strip())
