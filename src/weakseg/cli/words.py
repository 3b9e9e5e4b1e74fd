"""``weakseg words``."""

import difflib
from collections.abc import Sequence

from weakseg.cli.common import build_parser, conclude, parse

SHOWN = 40


def main(words: Sequence[str]) -> int:
    """Print the words of the vocabulary that contain a text."""
    parser = build_parser(
        "words", "Search the vocabulary that 'weakseg segment' knows.", "  weakseg words cat\n  weakseg words boat"
    )
    parser.add_argument("text", type=str, help="part of a word")
    text = parse(parser, words).text.lower()
    from weakseg.nn.vocabulary import imagenet_words

    words_known = sorted(imagenet_words())
    found = [word for word in words_known if text in word]
    if not found:
        near = difflib.get_close_matches(text, words_known, n=5, cutoff=0.5)
        hint = f"; close ones: {', '.join(near)}" if near else ""
        return conclude((), f"no word contains {text!r}{hint}. Boxes, points and scribbles may have any name")
    more = f"\nand {len(found) - SHOWN} more; type a longer part" if len(found) > SHOWN else ""
    return conclude((), "\n".join(found[:SHOWN]) + more)
