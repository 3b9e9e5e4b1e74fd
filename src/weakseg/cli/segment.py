"""``weakseg segment``."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from weakseg.api import SegmentOptions, segment
from weakseg.cli.common import add_settings, build_parser, conclude, parse, settings_of
from weakseg.errors import ConfigError
from weakseg.files import atomic_path
from weakseg.report import draw_labels


def main(words: Sequence[str]) -> int:
    """Segment one photograph from tags."""
    parser = build_parser(
        "segment",
        "Mask of one photograph from tags in the vocabulary of ImageNet, with no training.",
        '  weakseg segment cat.jpg --tags "tabby cat"\n'
        '  weakseg segment cat.jpg --tags "tabby cat" --method wsgcn\n'
        "  weakseg segment street.jpg --tags car --tags bicycle --out mask.png --overlay look.png\n"
        "  weakseg segment cat.jpg --tags cat --seeds.strict 0.4",
    )
    parser.add_argument("image", type=Path, help="photograph")
    parser.add_argument("--tags", type=str, action="append", required=True, help="what it shows; repeat for several")
    parser.add_argument(
        "--method", type=str, default="cam", help="cam (CRF) or wsgcn (a graph network for this photograph, then a CRF)"
    )
    parser.add_argument("--out", type=Path, help="mask to write; default: IMAGE-mask.png in the working folder")
    parser.add_argument("--overlay", type=Path, help="picture of the mask on the photograph to write")
    add_settings(parser, SegmentOptions)
    given = parse(parser, words)
    for name, path in (("--out", given.out), ("--overlay", given.overlay)):
        allowed = {".png"} if name == "--out" else {".png", ".jpg", ".jpeg", ".webp"}
        if path is not None and path.suffix.lower() not in allowed:
            raise ConfigError(f"{name}: {path} must end in {' or '.join(sorted(allowed))}")
    result = segment(given.image, given.tags, method=given.method, options=settings_of(given, SegmentOptions))
    out = given.out or Path(f"{given.image.stem}-mask.png")
    result.save(out)
    if given.overlay:
        with atomic_path(given.overlay) as temporary:
            Image.fromarray(draw_labels(result.image, result.mask)).save(temporary)
    shares = (f"{label} {tag}: {(result.mask == label).mean():.1%}" for label, tag in enumerate(result.tags, start=1))
    return conclude((), f"{out}: {', '.join(shares)} of the pixels")
