"""Damage to files, of many kinds, drawn from a seed."""

import io
import json
import random
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import torch

Mutation = Callable[[bytes, random.Random], bytes]
NUMBER = re.compile(rb"-?\d+(\.\d+)?")
NUMBERS = (0, -1, 1, 2, 255, 256, 65536, 10**5, 10**9, 10**18, -(10**9), 10**40, 0.5, 1e300, -1e-300)
WORDS = (b"NaN", b"Infinity", b"-inf", b"1e999", b"9" * 5000, b"null", b"true", b"''", b"x" * 10_000, b"../../etc")
VALUES: tuple[Any, ...] = (
    *NUMBERS, None, True, False, "", " ", "x", "a" * 100_000, "\0", "\ud800", "../a.png", "/etc/passwd", "a/b", "1e5",
    [], {}, [[]], [None], {"": ""}, [1, 2], [[1, 2], [3, 4]], float("nan"), float("inf"), "ü" * 300, "2024-02-31",
)  # fmt: skip


def mutate(name: str, content: bytes, rng: random.Random) -> bytes:
    """Return the content of a file, damaged once or twice, in ways that its suffix suggests."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(_mutations_for(name))(content, rng)
    return content


def _mutations_for(name: str) -> tuple[Mutation, ...]:
    suffix = PurePath(name).suffix
    known = {".json": (json_value,) * 12, ".safetensors": (tensor_header,) * 6, ".png": (png_header, png_chunk) * 2}
    if suffix in (".json", ".jsonl", ".xml", ".csv", ".txt", ".yaml"):
        return (*BYTES, *TEXT, *known.get(suffix, ()))
    if suffix == ".pt":
        return (*BYTES, *(state_value,) * 6)
    return (*BYTES, head_flip, head_flip, *known.get(suffix, ()))


def truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def flip(content: bytes, rng: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(rng.choice((1, 2, 8, 64))):
        if found:
            found[rng.randrange(len(found))] = rng.randrange(256)
    return bytes(found)


def head_flip(content: bytes, rng: random.Random) -> bytes:
    return flip(content[:200], rng) + content[200:]


def cut_out(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.choice((1, 4, 100)) :]


def insert(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return (
        content[:start] + rng.choice((b"\0", b"\0" * 1000, b"\xff\xfe", rng.randbytes(20), content)) + content[start:]
    )


def replace_whole(content: bytes, rng: random.Random) -> bytes:
    return rng.choice((b"", b"\0", b"[]", b"{}", b"null", b"%!PS-Adobe-3.0", rng.randbytes(300), content * 2))


def delete_line(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    if lines:
        del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def repeat_line(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    if lines:
        start = rng.randrange(len(lines))
        lines[start:start] = [rng.choice(lines)] * rng.choice((1, 2, 50))
    return b"".join(lines)


def other_number(content: bytes, rng: random.Random) -> bytes:
    found = list(NUMBER.finditer(content))
    return _swapped(content, found, str(rng.choice(NUMBERS)).encode(), rng)


def other_word(content: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"\"[^\"]*\"|[\w.]+", content))
    return _swapped(content, found, rng.choice(WORDS), rng)


def exchange(content: bytes, rng: random.Random) -> bytes:
    """Put one word of the file in place of another."""
    found = list(re.finditer(rb"\"[^\"]*\"|[\w.]+", content))
    return _swapped(content, found, rng.choice(found).group() if found else b"", rng)


def _swapped(content: bytes, found: list[re.Match[bytes]], new: bytes, rng: random.Random) -> bytes:
    if not found:
        return new
    start, stop = rng.choice(found).span()
    return content[:start] + new + content[stop:]


def nest(content: bytes, rng: random.Random) -> bytes:
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"<a>", b"</a>"), (b"- ", b"")))
    depth = rng.choice((40, 900, 20_000))
    start = rng.choice((0, rng.randrange(len(content) + 1)))
    return content[:start] + opening * depth + content[start:] + closing * depth


def other_encoding(content: bytes, rng: random.Random) -> bytes:
    text = content.decode("utf-8", "replace")
    return text.encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "utf-16-le", "cp500")), "replace")


def json_value(content: bytes, rng: random.Random) -> bytes:
    """Change, remove or repeat one value of a JSON document, as text that is JSON still."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return flip(content, rng)
    return json.dumps(_changed(document, rng)).encode("utf-8", "surrogatepass")


def _changed(document: Any, rng: random.Random) -> Any:
    places = list(_places(document))
    if not places:
        return rng.choice(VALUES)
    holder, key = rng.choice(places)
    action = rng.randrange(5)
    if action == 0:
        del holder[key]
    elif action == 1 and isinstance(holder, list):
        holder.extend([holder[key]] * rng.choice((1, 3, 200)))
    elif action == 2 and isinstance(holder, dict):
        holder[rng.choice(("", "x", "id", "size", "a" * 5000))] = holder.pop(key)
    elif action == 3 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        holder[key] = rng.choice(
            (holder[key] * 10**6, -holder[key], str(holder[key]), float(holder[key]), [holder[key]])
        )
    else:
        holder[key] = rng.choice(VALUES)
    return document


def _places(value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def tensor_header(content: bytes, rng: random.Random) -> bytes:
    """Change one value of the header of a safetensors file, or of the JSON that weakseg keeps in it."""
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        own = json.loads(header["__metadata__"]["weakseg"])
    except (ValueError, KeyError, TypeError, struct.error):
        return flip(content, rng)
    if rng.random() < 0.7:
        header["__metadata__"]["weakseg"] = json.dumps(_changed(own, rng))
    else:
        header = _changed(header, rng)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", rng.choice((len(text),) * 9 + (2**62,))) + text + content[8 + length :]


def state_value(content: bytes, rng: random.Random) -> bytes:
    """Change one value of what torch has saved."""
    try:
        state = torch.load(io.BytesIO(content), weights_only=True)
    except Exception:
        return flip(content, rng)
    buffer = io.BytesIO()
    torch.save(_changed(state, rng), buffer)
    return buffer.getvalue()


def png_header(content: bytes, rng: random.Random) -> bytes:
    """Let a PNG state another size, depth or kind of colour, with a checksum that is right."""
    if len(content) < 33 or content[12:16] != b"IHDR":
        return flip(content, rng)
    fields = list(struct.unpack(">IIBBBBB", content[16:29]))
    fields[rng.randrange(7)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16))
    if rng.random() < 0.5:
        fields[rng.randrange(2)] = rng.choice((0, 1, 9_000, 70_000, 2**31 - 1))
    head = b"IHDR" + struct.pack(">IIBBBBB", *fields)
    return content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:]


def png_chunk(content: bytes, rng: random.Random) -> bytes:
    """Put a chunk of nonsense, with a checksum that is right, behind the header."""
    kind = rng.choice((b"tRNS", b"PLTE", b"eXIf", b"gAMA", b"iCCP", b"zTXt", b"IDAT", b"acTL", b"fcTL", b"IEND"))
    body = kind + rng.randbytes(rng.choice((0, 1, 3, 40)))
    return content[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + content[33:]


BYTES: tuple[Mutation, ...] = (truncate, flip, flip, cut_out, insert, replace_whole)
TEXT: tuple[Mutation, ...] = (
    delete_line, repeat_line, other_number, other_number, other_word, exchange, nest, other_encoding,
)  # fmt: skip
