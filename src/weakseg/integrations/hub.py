"""A published folder pushed to a model hub, by huggingface_hub, which is imported when it is first needed."""

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weakseg.errors import ConfigError, ServerError, cut

KEPT = frozenset({".gitattributes"})  # what hubs write into a new repository
TOKEN = "HF_TOKEN"
_SAID = {
    401: f"does not know who you are; log in with 'hf auth login', or set {TOKEN}",
    403: f"does not allow it; the token needs the right to write there ('hf auth login', or {TOKEN})",
    404: "has no such place for this account; check owner and name",
    409: "says that it exists already; take another name",
    429: "is asked too often; wait a little, then give the same command",
}


def load_client(module: str = "huggingface_hub") -> Any:
    """Return a module of huggingface_hub.

    Raises:
        ConfigError: If it is not installed, or too old.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"huggingface_hub is needed ({cut(error)}); pip install 'weakseg[hub]'") from error


def check_name(name: str) -> str:
    """Return ``OWNER/NAME`` of a repository.

    Raises:
        ConfigError: If it is none.
    """
    owner, slash, rest = name.partition("/")
    validators, errors = load_client("huggingface_hub.utils"), load_client("huggingface_hub.errors")
    if not (owner and slash and rest):
        raise ConfigError(f"--to hub:{cut(name)}: name owner and repository: hub:OWNER/NAME")
    try:
        validators.validate_repo_id(name)
    except errors.HFValidationError as error:
        raise ConfigError(f"--to hub:{cut(name)}: is no name of a repository ({cut(error)})") from error
    return name


def push(
    folder: Path, files: Sequence[str], name: str, *, public: bool = False, overwrite: bool = False
) -> tuple[str, bool]:
    """Push files of a folder as one commit; return the address of the repository, and whether it was there before.

    Who pushes is known to the client: ``HF_TOKEN``, or what ``hf auth login`` has saved.

    Args:
        folder: Of the files.
        files: Their names in the folder; no other file is read.
        name: ``OWNER/NAME``; made where there is none.
        public: Whether a repository that is made is seen by everybody.
        overwrite: Whether files of a repository may be replaced. What else it holds stays, but for files of an earlier
            publication that this one has not.

    Raises:
        ConfigError: If the repository holds files that may not be replaced, or the client is not installed.
        ServerError: If the hub cannot be reached, or refuses; it then has what it had before, or an empty repository.
    """
    client = load_client()
    api = client.HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="weakseg")
    with told(api.endpoint, name):
        there = api.repo_exists(name)
        held = set(api.list_repo_files(name)) - KEPT if there else set()
        if held and not overwrite:
            raise ConfigError(f"--to hub:{name}: holds files; give another name, or --overwrite to replace them")
        if not there:
            api.create_repo(name, private=not public)
        stale = [one for one in sorted(held - set(files)) if one.startswith("labeller/") or one == "example-mask.png"]
        operations = [client.CommitOperationAdd(one, str(folder / one)) for one in files]
        operations += [client.CommitOperationDelete(one) for one in stale]
        api.create_commit(name, operations, commit_message="Publish a model of weakseg")
    return f"{api.endpoint}/{name}", there


@contextmanager
def told(endpoint: str, name: str) -> Iterator[None]:
    """Turn what the client raises into ``ServerError``."""
    errors = load_client("huggingface_hub.errors")
    where = f"{endpoint}/{name}"
    try:
        yield
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        known = _SAID.get(status, "has failed; try again later" if status >= 500 else "refuses the request")
        raise ServerError(f"{where}: {known} (HTTP {status}: {cut(error.server_message or error)})") from error
    except errors.LocalTokenNotFoundError as error:
        raise ServerError(f"{where}: {_SAID[401]}") from error
    except errors.OfflineModeIsEnabled as error:
        raise ServerError(f"{where}: HF_HUB_OFFLINE is set, so that nothing is pushed; unset it") from error
    except (ValueError, KeyError, TypeError, RuntimeError) as error:  # of a hub that answers as none
        raise ServerError(f"{where}: does not take it ({cut(error)}); check what it refuses") from error
    except _transport_errors() as error:
        raise ServerError(f"{where}: cannot be reached ({cut(error)}); check the network, and HF_ENDPOINT") from error


def _transport_errors() -> tuple[type[Exception], ...]:
    """Return what the client's own transport raises where there is no answer; versions of the client differ in it."""
    found: list[type[Exception]] = [ConnectionError, TimeoutError]
    for module, name in (("httpx", "TransportError"), ("httpx2", "TransportError"), ("requests", "RequestException")):
        try:
            found.append(getattr(importlib.import_module(module), name))
        except (ImportError, AttributeError):
            continue
    return tuple(found)
