"""From tagged photographs to a trained segmenter, in Python.

    python examples/02_run_a_recipe.py PHOTOS OUT [--SECTION.SETTING VALUE ...]

PHOTOS holds the photographs and ``tags.json``: {"a.jpg": ["cow"], "b.jpg": []}.
"""

import sys
from pathlib import Path

from weakseg import LabelMap, load_recipe, run_recipe

photos, out = sys.argv[1], Path(sys.argv[2])

recipe = load_recipe("cam", ["--data.root", photos, "--data.train", "tags.json", *sys.argv[3:]])
result = run_recipe(recipe, out)

for path in sorted((out / "masks").rglob("*.png")):
    mask = LabelMap.load(path)
    print(f"{path.name}: labels {sorted(mask.label_ids)}, {mask.coverage:.0%} decided")
print(f"{len(result.failures)} photographs failed")
