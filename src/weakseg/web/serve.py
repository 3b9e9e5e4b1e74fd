"""Where the page is served, and to whom."""

import ipaddress
import socket
from dataclasses import dataclass

from weakseg.errors import ConfigError
from weakseg.web.guard import Guard
from weakseg.web.page import Page
from weakseg.web.server import Server

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
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback

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


def guarded(page: Page, place: Place) -> Guard:
    """Return the application that answers for a page at a place."""
    hosts = LOOPBACK_NAMES | {place.host.lower()} if place.is_local else frozenset[str]()
    return Guard(Server(page).app(), place.token, hosts, place.password)


def announce(page: Page, place: Place, listening: socket.socket) -> str:
    """Return what the command says when it begins."""
    labelled = len(page.book.entries)
    return (
        f"{len(page.album.files)} photographs, {labelled} of them labelled; labels: {page.book.path}\n"
        f"open {place.address(listening)}\nCtrl-C stops the page; nothing is lost"
    )
