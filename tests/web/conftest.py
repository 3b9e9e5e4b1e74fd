"""Tabs of a browser, and a page to open in them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browsing import Tab, save_photograph
from served import serving

EXPECTED = ("409", "422", "400", "ERR_INTERNET_DISCONNECTED", "ERR_CONNECTION_REFUSED")


@pytest.fixture
def new_tab(browser: Any) -> Iterator[Callable[..., Tab]]:
    """Open tabs; afterwards fail on scripts that failed, on foreign requests and on what the browser complains of."""
    complaints: list[str] = []
    contexts: list[Any] = []

    def heard(message: Any) -> None:
        # the browser notes every answer that says no; the page tells the user of it
        if message.type in ("error", "warning") and not (
            "Failed to load resource" in message.text and any(word in message.text for word in EXPECTED)
        ):
            complaints.append(f"{message.type}: {message.text}")

    def asked(request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            complaints.append(f"request: {request.url}")

    def tab(**options: Any) -> Tab:
        contexts.append(browser.new_context(**{"viewport": {"width": 1200, "height": 640}, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.on("console", heard)
        page.on("request", asked)
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        return Tab(page)

    yield tab
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a page of 16 photographs; each test takes one of its own."""
    folder = tmp_path_factory.mktemp("page")
    for number in range(16):
        save_photograph(folder / f"coffee_{number:02}.jpg", quality=92)
    with serving(folder, ("cup", "spoon")) as served:
        yield served.address


@pytest.fixture
def tab(new_tab: Callable[..., Tab], address: str, request: pytest.FixtureRequest) -> Tab:
    """A tab with a photograph that nobody has drawn on."""
    used = request.session.stash.setdefault(USED, [])
    used.append(request.node.name)
    return new_tab().open(f"{address}#coffee_{len(used) - 1:02}")


USED = pytest.StashKey[list[str]]()
