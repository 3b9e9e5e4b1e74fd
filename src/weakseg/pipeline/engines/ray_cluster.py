"""A Ray cluster: one that runs somewhere, or one of this machine alone."""

import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import Any

from weakseg.errors import ConfigError, cut

AUTO = "auto"
PATIENCE_S, CHECK_S = 5.0, 20.0
OBJECT_STORE_BYTES = 100_000_000  # products are files; what travels is small
REMEDY = "start one ('ray start --head', and 'ray start --address HOST:PORT' on the others), or leave --address out"

_connected: tuple[str, int] | None = None


def check_ray(address: str) -> None:
    """Refuse Ray where it is not installed, and addresses that are none.

    Raises:
        ConfigError: If so.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("engine: 'ray' is not installed; pip install 'weakseg[ray]', or use the engine 'joblib'")
    if address and address != AUTO:
        host, colon, port = address.rpartition(":")
        if not (host and colon and port.isascii() and port.isdigit()) or "/" in address or not 0 < int(port) < 2**16:
            raise ConfigError(
                f"address: 'auto', or HOST:PORT of the head of a Ray cluster that this machine belongs to; got "
                f"{cut(address)!r}"
            )


def connect(address: str, workers: int = 1) -> bool:
    """Connect this process with a cluster, once; an empty address is one of this machine alone, which ends with it.

    Returns:
        Whether it was not connected with it before.

    Raises:
        ConfigError: If there is no cluster at the address, or Ray is not installed.
    """
    global _connected
    wanted = (address, 0 if address else max(workers, 1))
    if _is_connected() and _connected and _connected[0] == address and wanted[1] <= _connected[1]:
        return False
    check_ray(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # 15 without: whatever else works would go first
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

    disconnect()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL, "configure_logging": True}
    if address:
        _check_runs(address)
        try:
            _init(address, **quiet)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ConfigError(f"address: no Ray cluster can be used at {address!r}: {cut(error)}; {REMEDY}") from error
    else:
        room = {"num_cpus": wanted[1], "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
        try:
            _init("local", **room, **quiet)
        except Exception as error:  # its parts are processes, and what they lack is told in every way
            raise ConfigError(
                f"engine: Ray cannot be started on this machine ({type(error).__name__}: {cut(error)}); see that "
                f"{tempfile.gettempdir()} and /dev/shm have free space (RAY_TMPDIR names another folder), or use the "
                "engine 'joblib'"
            ) from error
    _connected = wanted
    return True


def disconnect() -> None:
    """Leave the cluster; one of this machine alone ends."""
    global _connected
    if _is_connected():
        import ray

        ray.shutdown()
    _connected = None


def _is_connected() -> bool:
    """Return whether this process is connected; others may have ended that."""
    loaded = sys.modules.get("ray")
    return loaded is not None and bool(loaded.is_initialized())


def _init(address: str, **options: Any) -> None:
    """Connect, and leave it to this process what SIGTERM means."""
    import ray

    before = signal.getsignal(signal.SIGTERM)
    ray.init(address, **options)
    with suppress(ValueError):  # in another thread than the main one Ray has changed nothing
        signal.signal(signal.SIGTERM, before)


def cores_and_gpus() -> tuple[int, int]:
    """Return how many cores and GPUs the machines of the cluster have together."""
    import ray

    found = ray.cluster_resources()
    return int(found.get("CPU", 0)), int(found.get("GPU", 0))


def _check_runs(address: str) -> None:
    """Refuse an address where no Ray answers: Ray itself would ask for minutes."""
    if address != AUTO:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=PATIENCE_S).close()
        except OSError as error:
            raise ConfigError(f"address: nothing answers at {address} ({error}); {REMEDY}") from error
    words = [] if address == AUTO else ["--address", address]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ray.scripts.scripts", "health-check", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHECK_S,
            check=False,
        )
        healthy = done.returncode == 0
    except subprocess.TimeoutExpired:
        healthy = False
    if not healthy:
        where = (
            "no Ray runs on this machine"
            if address == AUTO
            else f"what answers at {address} is no Ray, or wants a token"
        )
        raise ConfigError(f"address: {where}; {REMEDY}")
