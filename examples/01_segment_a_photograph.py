"""Mask of one photograph from its tag, with no training.

python examples/01_segment_a_photograph.py [OUT]
"""

import sys
from pathlib import Path

import skimage.data

import weakseg

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")

result = weakseg.segment(skimage.data.cat(), tags=["tabby cat"])

result.save(out / "cat-mask.png")
print(f"the cat covers {(result.mask == 1).mean():.0%} of the photograph; see {out / 'cat-mask.png'}")
