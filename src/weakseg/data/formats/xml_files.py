"""XML files of users; entities, which can expand without end or read other files, are refused."""

import codecs
import re
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree

from weakseg.data.values import as_size, number_of_text
from weakseg.errors import DataError

_NO_CHARACTERS = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"}  # some take for ever
_DECLARATION = re.compile(rb"\s*<\?xml\b[^>]{0,200}?\bencoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]*)[\"']")


def parse_xml(path: Path, what: str, remedy: str) -> Element:
    """Return the root element of an XML file, in whichever encoding it declares.

    Args:
        path: The file.
        what: What it is to the user, for the error, as in ``"scribbles of image 'a'"``.
        remedy: What to do if it cannot be read.

    Raises:
        DataError: If it is missing, malformed, or defines entities.
    """
    try:
        content = _content(path)
    except (OSError, ValueError, LookupError) as error:
        raise DataError(f"{path}: {what} cannot be read ({error}); {remedy}") from error
    return xml_root(content, f"{path}: {what}", remedy)


def xml_root(content: bytes | str, what: str, remedy: str) -> Element:
    """Return the root element of XML.

    Args:
        content: The XML.
        what: What it is to the user, and where it stands, for the error.
        remedy: What to do if it cannot be read.

    Raises:
        DataError: If it is malformed, or defines entities.
    """
    try:
        root: Element | None = ElementTree.fromstring(content)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise DataError(f"{what} cannot be read ({error}); {remedy}") from error
    if root is None:
        raise DataError(f"{what} is empty; {remedy}")
    return root


def _content(path: Path) -> bytes | str:
    """Return the bytes of a file, or its text where it declares an encoding that Python knows and expat may not."""
    content = path.read_bytes()
    declared = _DECLARATION.match(content)
    if declared is None:
        return content
    encoding = codecs.lookup(declared[1].decode()).name
    if encoding in _NO_CHARACTERS:
        raise LookupError(f"{encoding} is no encoding of a file")
    return content.decode(encoding)


def xml_size(root: Element, where: str) -> tuple[int, int] | None:
    """Return (rows, columns) in ``size/height`` and ``size/width``; ``None`` where missing or 0, as some tools write.

    Raises:
        DataError: If they are no possible size.
    """
    texts = root.findtext("size/height"), root.findtext("size/width")
    if texts == (None, None):
        return None
    rows, columns = (number_of_text(t, n, where) for t, n in zip(texts, ("size/height", "size/width"), strict=True))
    return None if (rows, columns) == (0, 0) else as_size(rows, columns, where)
