"""2,000 damaged files of every kind: no untyped error, no hang, no death, no 1.5 GB. More of them: ``make fuzz``."""

import sys

import pytest
from fuzz import described, findings
from subjects import SUBJECTS

MUTATIONS = 2000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux tells it")
def test_damaged_files_are_read_or_refused_in_words() -> None:
    found = findings(MUTATIONS)
    assert not found, described(found)


def test_names_are_unique() -> None:
    assert len({subject.name for subject in SUBJECTS}) == len(SUBJECTS)
