import doctest

from cases import each
from weakseg.data.knowledge import terms
from weakseg.data.knowledge.terms import candidates, find_terms, term_of


def test_doctests() -> None:
    assert doctest.testmod(terms).failed == 0


@each(
    ("name", "term"),
    [
        ("Cat", "cat"),
        ("tv/monitor", "tv_monitor"),
        ("hot  dog ", "hot_dog"),
        ("Кошка", "кошка"),
        ("ｃａｔ", "cat"),  # full width
        ("猫", "猫"),
        ("class_2b", "class_2b"),
        ("!?", "!?"),
        ("straße", "strasse"),
    ],
)
def test_terms_of_names(name: str, term: str) -> None:
    assert term_of(name) == term


@each(
    ("name", "known", "term"),
    [
        ("cat", {"cat"}, "cat"),
        ("aeroplane", {"aeroplane", "airplane"}, "aeroplane"),
        ("aeroplane", {"airplane"}, "airplane"),
        ("TV monitor", {"tv"}, "tv"),
        ("skis", {"ski"}, "ski"),
        ("sofas", {"couch"}, "couch"),
        ("benches", {"bench"}, "bench"),
        ("glass", {"glas"}, ""),
        ("hot dog", {"hotdog", "dog"}, "hotdog"),
        ("potted plant", {"plant", "potted"}, "plant"),
        ("big red fire hydrants", {"hydrant", "fire_hydrant"}, "fire_hydrant"),
        ("猫", {"cat"}, ""),
        ("!?", {"cat", ""}, ""),
        (" ".join(["very"] * 49 + ["cat"]), {"cat"}, "cat"),
    ],
)
def test_best_term(name: str, known: set[str], term: str) -> None:
    found, notes = find_terms([name], known.__contains__)
    assert found == {name: term}
    assert bool(notes) == (term != term_of(name))


def test_what_is_published_goes_first_when_asked_for() -> None:
    known = {"sofa", "couch", "ball", "sports_ball"}
    found, notes = find_terms(["sofa", "ball"], known.__contains__, published_first=True)
    assert found == {"sofa": "couch", "ball": "ball"} and notes == ["class 'sofa': looked up as 'couch'"]


def test_names_of_one_term_are_told() -> None:
    found, notes = find_terms(["sofa", "Sofa", "couch", "unicorn"], {"sofa"}.__contains__)
    assert found == {"sofa": "sofa", "Sofa": "sofa", "couch": "sofa", "unicorn": ""}
    assert notes == [
        "class 'couch': looked up as 'sofa'",
        "class 'unicorn': not found",
        "classes 'sofa' and 'Sofa' and 'couch': all are 'sofa', so that nothing tells them apart",
    ]


def test_long_names_are_tried_by_few_terms() -> None:
    assert len(list(candidates(" ".join(f"word{i}" for i in range(50))))) < 30
