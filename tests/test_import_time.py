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


def test_help_and_wrong_flags_of_every_verb_need_no_torch() -> None:
    """Whole runs of methods with a wrong setting, too: what a person waits for is an answer."""
    script = (
        "import contextlib, io, sys\n"
        "from weakseg.cli.main import VERBS, main\n"
        "from weakseg.methods import METHODS\n"
        "runs = [['run', name, '--out', 'o', '--segmenter.fit.epocs', '3'] for name in METHODS]\n"
        "compared = ['compare', 'cam', '--methods', 'cam,a2gnn', '--out', 'o', '--segmenter.fit.epocs', '3']\n"
        "ended = []\n"
        "for words in [*([v, '--help'] for v in VERBS), *([v, '--no-such'] for v in VERBS), *runs, compared]:\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n"
        "        try:\n"
        "            ended.append(main(words))\n"
        "        except SystemExit as end:\n"
        "            ended.append(end.code)\n"
        "print(sorted(set(ended[: len(VERBS)])), sorted(set(ended[len(VERBS) :])), 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[0] [2] False"
