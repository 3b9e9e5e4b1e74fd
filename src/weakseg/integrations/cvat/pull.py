"""Labels and photographs of a task, as a folder that every verb reads with ``--data.format cvat``."""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image

from weakseg.data.formats.cvat import read_table
from weakseg.data.image import IMAGE_SUFFIXES
from weakseg.data.paths import inside
from weakseg.errors import DataError, ServerError, WeaksegError, cut
from weakseg.files import write_bytes
from weakseg.integrations.cvat.sdk import load_sdk, told
from weakseg.integrations.cvat.task import CvatTask, Frame
from weakseg.names import in_any_form
from weakseg.pipeline.plan import Failure
from weakseg.progress import track

FORMAT = "CVAT for images 1.1"
LABELS, IMAGES = "annotations.xml", "images"
SECONDS = 1.0  # between two questions whether the server has written the labels
MOST_LABELS = 4 * 2**30  # bytes of XML: no file of labels is that large, and what is unpacked may be
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif", "GIF": ".gif"}


def pull_labels(task: CvatTask, out: Path) -> dict[str, int]:
    """Write ``annotations.xml``, as the server exports it, and return how many labels of each kind are in it.

    Tracks are there frame by frame, as CVAT interpolates them.

    Raises:
        ServerError: If the server writes none.
        DataError: If it cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive, local = Path(folder) / "labels.zip", load_sdk("cvat_sdk.core.proxies.types").Location.LOCAL
        task.proxy.export_dataset(FORMAT, archive, include_images=False, status_check_period=SECONDS, location=local)
        content = _labels_in(archive, task.title)
        path = Path(folder) / LABELS
        path.write_bytes(content)
        counts = _counted(path)
    write_bytes(out / LABELS, content)
    return counts


def pull_photographs(task: CvatTask, out: Path) -> list[Failure]:
    """Download the frames that are not yet in ``images``, each by its name; return those that failed."""
    folder = out / IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    root, failures = folder.resolve(), []
    with track("photographs", len(task.frames)) as advance:
        for frame in task.frames:
            try:
                _pull_one(task, frame, root)
            except (ServerError, DataError) as error:
                failures.append(Failure(frame.name, "pull", str(error)))
            advance(1)
    return failures


def _pull_one(task: CvatTask, frame: Frame, root: Path) -> None:
    path = inside(root, frame.name, f"{task.title}: frame {frame.number}")
    named = path.suffix.lower() in IMAGE_SUFFIXES
    there = (in_any_form(path),) if named else [path.with_name(path.name + suffix) for suffix in _SUFFIXES.values()]
    if any(one.is_file() for one in there):
        return
    with told(task.address):
        content = task.proxy.get_frame(frame.number, quality="original").read()
    try:
        with Image.open(BytesIO(content)) as image:
            form, size = str(image.format), (image.height, image.width)
    except Exception as error:  # Pillow throws whatever it likes at what is no image
        raise DataError(f"frame {frame.number}: what the server sends is no image ({cut(error)})") from error
    if size != frame.size:
        raise DataError(f"frame {frame.number}: is {size}, but the task says {frame.size} (rows, columns)")
    write_bytes(path if named else path.with_name(path.name + _SUFFIXES.get(form, ".png")), content)


def _labels_in(archive: Path, title: str) -> bytes:
    """Return the XML in what the server has exported."""
    with _sound(archive, title), zipfile.ZipFile(archive) as file:
        info = file.getinfo(LABELS)
        if info.file_size > MOST_LABELS:
            raise DataError(f"{title}: {LABELS} of {info.file_size:,} bytes is too large; pull parts of the task")
        return file.read(info)


@contextmanager
def _sound(archive: Path, title: str) -> Iterator[None]:
    try:
        yield
    except WeaksegError:
        raise
    except (OSError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ServerError(f"{title}: its export holds no {LABELS} ({cut(error)}); export it in CVAT's page") from error


def _counted(path: Path) -> dict[str, int]:
    """Return how many shapes of each kind a file holds, as weakseg reads it, and how many it leaves out."""
    table = read_table(path)
    counts = {"photographs": len(table.images), "labelled": sum(bool(i.shapes or i.tags) for i in table.images)}
    for shape in (shape for image in table.images for shape in image.shapes):
        name = f"{shape.kind}s" if shape.kind != "box" else "boxes"
        counts[name] = counts.get(name, 0) + 1
    counts["tags"] = sum(len(image.tags) for image in table.images)
    return {**counts, "left out": len(table.dropped)}
