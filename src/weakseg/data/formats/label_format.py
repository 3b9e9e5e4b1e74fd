"""What is known of a label format, and what one sees of a file to tell which format it is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element

from weakseg.data.annotations import AnnotationTable
from weakseg.data.formats.csv_files import read_csv
from weakseg.data.formats.xml_files import parse_xml
from weakseg.data.image import check_frame, read_frame
from weakseg.data.paths import find_image, parse_json, read_text
from weakseg.errors import DataError

Use = Literal["dataset", "drawn", "photograph"]
Quadrilaterals = Literal["", "segments", "boxes"]
EVERY_USE: frozenset[Use] = frozenset({"dataset", "drawn", "photograph"})


@dataclass(frozen=True)
class Content:
    """The content of a label file, parsed as far as a format asks.

    Attributes:
        path: The file.
        what: What it is to the user, for errors.
    """

    path: Path
    what: str = "label file"

    @cached_property
    def text(self) -> str:
        """The text of the file."""
        return read_text(self.path, self.what)

    @cached_property
    def json(self) -> object:
        """The value in a JSON file."""
        return parse_json(self.path, self.text)

    @cached_property
    def xml(self) -> Element:
        """The root element of an XML file."""
        return parse_xml(self.path, self.what, "repair it, or export it again")

    @cached_property
    def header(self) -> tuple[str, ...]:
        """The cells of the first row of a CSV file."""
        return read_csv(self.path, "want a label file").first

    def has_keys(self, *keys: str) -> bool:
        """Return whether a JSON file is an object with all of these keys."""
        return isinstance(self.json, dict) and set(keys) <= self.json.keys()


@dataclass(frozen=True)
class Surroundings:
    """What labels may need to be understood and does not stand in their file.

    Attributes:
        root: Resolved folder that must not be left.
        start: Folder that names of photographs start from.
        classes: Class names that the user gave, in the order of their numbers; ``None``: none were given.
        photograph: The one photograph that labels are wanted of; ``None``: all.
        quadrilaterals: What lines of 9 values are to YOLO: outlines or oriented boxes; empty: an error.
        voc_base: 1: boxes of VOC count pixels from 1, the last one included; 0: edges as they stand.
        difficult: Whether objects of VOC that are marked difficult count.
    """

    root: Path
    start: Path
    classes: tuple[str, ...] | None = None
    photograph: Path | None = None
    quadrilaterals: Quadrilaterals = ""
    voc_base: Literal[0, 1] = 1
    difficult: bool = True

    def find(self, name: str, where: str) -> Path:
        """Return the file of a photograph by the name that labels give it; it need not exist.

        Raises:
            DataError: If the name leads outside of the root.
        """
        return self.photograph or find_image(self.root, self.start, name, where)

    def check_claim(self, name: str, size: tuple[int, int], where: str) -> None:
        """Refuse the size that labels claim for a photograph of another, before anything is rastered to it.

        Raises:
            DataError: If the photograph cannot be read, or has another size, upright and in its file.
        """
        frame = read_frame(self.find(name, where))
        if size not in (frame.stored, frame.stored[::-1]):
            check_frame(size, frame.size, where)


def claim_check(around: Surroundings | None, name: str, size: tuple[int, int], where: str) -> Callable[[], None]:
    """Return what refuses a stated size as ``Surroundings.check_claim`` does; the photograph is opened once at most."""

    @cache
    def reason() -> str:
        try:
            if around:
                around.check_claim(name, size, where)
        except DataError as error:
            return str(error)
        return ""

    def check() -> None:
        if reason():
            raise DataError(reason())

    return check


@dataclass(frozen=True)
class LabelFormat:
    """What is known of a label format.

    Attributes:
        title: Its name in errors.
        parse: Returns the labels in a file, or in a folder of files.
        suffixes: Of its files, lower case with the dot.
        holds: Whether a file with such a suffix is one of this format, asked where several have the suffix.
        uses: Where it may be given: ``dataset``, as ``data.format``; ``drawn``, as ``data.drawn``; ``photograph``, as
            labels of one photograph.
        names_from: Where names of photographs start: the folder of ``images``, or that of the ``labels``; or what is
            given is a folder of ``photographs``, and their labels are found from there.
        one_each: Whether each photograph has a file of its own, so that a folder of them is given.
        unmarked: Whether nothing in its files tells it from every other format; such formats are asked last, and the
            only one that is left is not asked: its parser says what is wrong.
    """

    title: str
    parse: Callable[[Path, Surroundings], AnnotationTable]
    suffixes: tuple[str, ...]
    holds: Callable[[Content], bool] = lambda content: True
    uses: frozenset[Use] = EVERY_USE
    names_from: Literal["images", "labels", "photographs"] = "images"
    one_each: bool = False
    unmarked: bool = False


def by_itself(parse: Callable[[Path], AnnotationTable]) -> Callable[[Path, Surroundings], AnnotationTable]:
    """Return the parser of a format whose files say everything themselves."""
    return lambda path, _: parse(path)
