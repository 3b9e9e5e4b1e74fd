"""Where the page is served, and to whom."""

import ipaddress
import socket
from dataclasses import dataclass

from weakseg.errors import ConfigError
from weakseg.integrations import labelstudio
from weakseg.web.guard import Guard
from weakseg.web.page import Page
from weakseg.web.server import Server

LABEL_STUDIO = "label-studio"
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True)
class Place:
    """Address of a page.

    Attributes:
        host: That is listened on.
        port: 0: any that is free.
        token: First part of every path.
        password: That is asked for; empty: none.
    """

    host: str
    port: int
    token: str
    password: str = ""

    @property
    def is_local(self) -> bool:
        """Whether no other computer can reach it."""
        return is_loopback(self.host)

    def listen(self) -> socket.socket:
        """Return what is listened on.

        Raises:
            ConfigError: If the address is in use, or is none of this computer.
        """
        try:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            return socket.create_server((self.host, self.port), family=family)
        except OSError as error:
            raise ConfigError(
                f"--port {self.port}: {self.host} cannot be listened on ({error.strerror}); give another --port, or 0 "
                "for any that is free"
            ) from error

    def address(self, listening: socket.socket) -> str:
        """Return what a browser opens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{listening.getsockname()[1]}/{self.token}/"


def is_loopback(host: str) -> bool:
    """Return whether an address is this computer's own, which no other reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def guarded(page: Page, place: Place, *, label_studio: bool = False) -> Guard:
    """Return the application that answers for a page at a place.

    Args:
        page: What is labelled.
        place: Where it is served.
        label_studio: Whether it also answers Label Studio, below ``label-studio``.
    """
    hosts = LOOPBACK_NAMES | {place.host.lower()} if place.is_local else frozenset[str]()
    names = page.book.classes.names if page.book.classes else ()
    more = labelstudio.routes(page.album.folder, names, prefix=f"/{LABEL_STUDIO}") if label_studio else []
    return Guard(Server(page).app(more), place.token, hosts, place.password, frozenset({LABEL_STUDIO}))


def announce(page: Page, place: Place, listening: socket.socket, *, label_studio: bool = False) -> str:
    """Return what the command says when it begins."""
    labelled = len(page.book.entries)
    address = place.address(listening)
    backend = f"Label Studio's backend: {address}{LABEL_STUDIO}\n" if label_studio else ""
    return (
        f"{len(page.album.files)} photographs, {labelled} of them labelled; labels: {page.book.path}\n"
        f"open {address}\n{backend}Ctrl-C stops the page; nothing is lost"
    )
