"""cvat-sdk, imported when it is first needed; connections by its conventions, its errors as weakseg says them."""

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from weakseg.errors import ConfigError, ServerError, cut

HOST, USER, PASSWORD, TOKEN = "CVAT_HOST", "CVAT_USERNAME", "CVAT_PASSWORD", "CVAT_ACCESS_TOKEN"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SAID = {
    401: f"refuses the credentials; set {TOKEN}, or {USER} and {PASSWORD}, anew",
    403: "does not allow it; the account needs a right to this task, or --organization is another",
    404: "has no such task, or frame of it, for this account; check its number, and --organization",
    429: "is asked too often; wait a little, then give the same command",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Which server is meant, and as whom.

    Attributes:
        host: Its address; empty: that of ``CVAT_HOST``, else of cvat-sdk's saved profile, else ``http://localhost``.
        profile: Name of a profile that ``cvat-cli profile`` has saved, in place of host and credentials.
        organization: Short name of the organization that the task is in.
        insecure: Whether certificates are left unchecked.
    """

    host: str = ""
    profile: str = ""
    organization: str = ""
    insecure: bool = False


def load_sdk(module: str = "cvat_sdk") -> Any:
    """Return a module of cvat-sdk.

    Raises:
        ConfigError: If it is not installed, or too old.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"cvat-sdk is needed ({cut(error)}); pip install 'weakseg[cvat]'") from error


@contextmanager
def connected(place: Place) -> Iterator[Any]:
    """Yield a client of the server that has logged in; what goes wrong meanwhile is told as ``ServerError``.

    Credentials are those of the environment: ``CVAT_ACCESS_TOKEN``, else ``CVAT_USERNAME`` and ``CVAT_PASSWORD``, else
    those that ``cvat-cli profile`` has saved.

    Raises:
        ConfigError: If there are no credentials, or the host holds some.
        ServerError: If the server cannot be reached, or refuses.
    """
    auth = load_sdk("cvat_sdk.core.auth")
    host = place.host or ("" if place.profile else os.environ.get(HOST, ""))
    parameters = auth.ClientAuthParameters(
        profile=place.profile or None,
        server_host=host or None,
        auth=_credentials(auth, place, host),
        insecure=place.insecure,
        organization=place.organization or None,
    )
    with told(host or "CVAT"):
        client = auth.make_client_from_cli(parameters, logger=_quiet())
    address = client.api_map.host
    with told(address), client:
        client.check_server_version(fail_if_unsupported=False)
        yield client


def _quiet() -> logging.Logger:
    """Return where cvat-sdk logs: its warnings alone, for weakseg says itself what it does."""
    found = logging.getLogger("weakseg.cvat_sdk")
    found.setLevel(logging.WARNING)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    return found


def _credentials(auth: Any, place: Place, host: str) -> Any:
    """Return what makes credentials for an address; ``None`` where a token or a saved profile is taken."""
    address = urlsplit(host if "://" in host else f"//{host}")
    if address.username or address.password:
        raise ConfigError(
            f"--host: {address.hostname} comes with a user or password, which others may see; set {TOKEN}, or {USER} "
            f"and {PASSWORD}"
        )
    if place.profile or os.environ.get(TOKEN):
        return None
    user, password = os.environ.get(USER), os.environ.get(PASSWORD)
    if user and password:
        if address.scheme == "http" and address.hostname not in _LOOPBACK:
            logger.warning("%s: the password goes there unencrypted; give an address with https", host)
        return lambda _: auth.PasswordCredentials(user, password)
    with told("cvat-sdk"):
        saved = None if host else auth.AuthStore().get_default_profile()
    if saved is None:
        raise ConfigError(
            f"no credentials for {host or 'CVAT'}: set {TOKEN}, or {USER} and {PASSWORD}; or save a profile with "
            "'cvat-cli profile', and name it by --profile"
        )
    return None


@contextmanager
def told(address: str) -> Iterator[None]:
    """Turn what cvat-sdk raises into ``ServerError``."""
    core, api = load_sdk("cvat_sdk.core.exceptions"), load_sdk("cvat_sdk.api_client.exceptions")
    transport = load_sdk("urllib3.exceptions")
    try:
        yield
    except core.AuthStoreError as error:
        raise ConfigError(f"--profile: {error}") from error
    except api.ApiException as error:
        raise ServerError(f"{address}: {_said(error)}") from error
    except (api.OpenApiException, AssertionError) as error:
        raise ServerError(
            f"{address}: does not answer as CVAT does ({cut(error)}); check the address, and that cvat-sdk is of the "
            "server's version"
        ) from error
    except core.CvatSdkException as error:
        raise ServerError(f"{address}: {cut(error)}") from error
    except (transport.HTTPError, ConnectionError) as error:
        raise ServerError(f"{address}: cannot be reached ({cut(error)}); check --host and the network") from error


def _said(error: Any) -> str:
    """Return what a server's refusal means, with its own words."""
    body = cut(error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else error.body or error.reason)
    if error.status == 0:
        return f"has no certificate that can be trusted ({body}); give --insecure if you know the server"
    status = 401 if error.status == 400 and "log in" in body else error.status
    known = _SAID.get(status, "has failed; try again later" if error.status >= 500 else "refuses the request")
    return f"{known} (HTTP {error.status}: {body})"
