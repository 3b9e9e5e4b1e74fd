"""``weakseg words``."""

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

    found = [word for word in sorted(imagenet_words()) if text in word]
    more = f"\nand {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return conclude((), "\n".join(found[:SHOWN]) + more if found else f"no word contains {text!r}")
