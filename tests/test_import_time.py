import subprocess
import sys

SLOW = ("timm", "torchvision", "torch._dynamo", "scipy", "skimage", "accelerate")


def test_a_box_needs_none_of_the_slow_packages() -> None:
    """What is imported by the API, and by making masks of a box, decides how long one photograph takes."""
    script = (
        "import sys, numpy, weakseg\n"
        "image = numpy.random.default_rng(0).integers(0, 255, (48, 64, 3), numpy.uint8)\n"
        "weakseg.segment(image, boxes=[('thing', (10, 8, 40, 40))])\n"
        f"print([name for name in {SLOW} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_flags_of_every_method_are_read_without_torch() -> None:
    script = (
        "import sys\n"
        "import weakseg.photograph.config\n"
        "from weakseg.methods import METHODS\n"
        "from weakseg.methods.recipes import recipe_parser\n"
        "assert all([recipe_parser(name) for name in METHODS])\n"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
