"""``weakseg words``."""

from collections.abc import Sequence

from weakseg.cli.common import build_parser, conclude, parse

SHOWN = 40


def main(words: Sequence[str]) -> int:
    """Explain what a word stands for, and print the words of the vocabulary that contain it."""
    parser = build_parser(
        "words",
        "Explain what a word stands for to 'weakseg segment', and search its vocabulary.",
        "  weakseg words bird\n  weakseg words boat",
    )
    parser.add_argument("text", type=str, help="word, or part of one")
    text = parse(parser, words).text.lower()
    from weakseg.data.knowledge.imagenet_words import imagenet_words, look_up, unknown_word

    found = sorted(word for word in imagenet_words() if text in word and word != text)
    word = look_up(text)
    if word is None and not found:
        return conclude((), unknown_word(text))
    explained = [word.explanation, word.doubt] if word else []
    contained = [f"words that contain {text!r}:", *found[:SHOWN]] if found else []
    more = [f"and {len(found) - SHOWN} more; type a longer part"] if len(found) > SHOWN else []
    return conclude((), "\n".join(line for line in (*explained, *contained, *more) if line))
