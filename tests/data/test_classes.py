import pytest

from weakseg.data.classes import Classes, odd_names, unknown_class
from weakseg.errors import DataError

CLASSES = Classes(("cat", "dog"))


def test_ids_and_names() -> None:
    assert len(CLASSES) == 2
    assert [CLASSES.id_of(name, "x") for name in ("cat", "dog")] == [1, 2]
    assert [CLASSES.name_of(class_id) for class_id in (0, 1, 2)] == ["background", "cat", "dog"]


@pytest.mark.parametrize(("name", "hint"), [("catt", "did you mean 'cat'"), ("zebra", "known classes: cat, dog")])
def test_unknown_class(name: str, hint: str) -> None:
    with pytest.raises(DataError, match=rf"tags\.csv:3: unknown class '{name}'; {hint}"):
        CLASSES.id_of(name, "tags.csv:3")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no class names"),
        (("cat", "dog", "cat"), "'cat' is listed more than once"),
        (("cat", " "), "' ' is empty"),
        (("cat\x1b[2J",), "control characters"),
        (("cat", "background"), r"\['background'\] is reserved"),
        (tuple(f"class {number}" for number in range(255)), "255 names.*254"),
    ],
)
def test_refused_names(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Classes(names)


def test_as_many_classes_as_a_mask_can_hold() -> None:
    assert len(Classes(tuple(f"class {number}" for number in range(254)))) == 254


def test_found_names_are_sorted_and_given_names_are_kept() -> None:
    assert Classes.from_labels(None, ["dog", "background", "cat"]).names == ("cat", "dog")
    assert Classes.from_labels(("dog", "cat"), ["bird"]).names == ("dog", "cat")


def test_names_that_are_probably_not_meant_so() -> None:
    twins = (["Cat", "cat"], ["cat", "cat "], ["cat", " cat"], ["traffic light", "traffic_light", "Traffic-Light"])
    forms = (["f\u00e4hre", "fa\u0308hre"], ["STRASSE", "stra\u00dfe"], ["\uff43at", "cat"])
    for names in (*twins, *forms):
        (sentence,) = odd_names(["dog", *names, "cats"])
        assert sentence == (
            f"classes {' and '.join(map(repr, names))} are written alike but for case, spaces or Unicode form; if they "
            "are one, merge them"
        )
    for name, mark in (("car, cat", ","), ("car;cat", ";"), ("car|cat", "|")):
        assert odd_names([name, "dog"]) == (
            f"class {name!r} holds {mark!r}; if it is several classes, write them apart",
        )
    assert odd_names(["cat", "cats", "dog", "/m/01g317", "sports ball", "hair drier"]) == ()
    assert len(odd_names(["x" * 5000 + ",", "y"])[0]) < 400


def test_many_names_take_no_longer_than_their_number() -> None:
    assert odd_names(f"c{n}" for n in range(50_000)) == ()


def test_an_unknown_class_of_another_unicode_form_is_said_to_be_that() -> None:
    """The two look the same in print."""
    message = str(unknown_class("fa\u0308hre", ("f\u00e4hre", "dog"), "t.csv:2"))
    assert message.endswith("did you mean 'f\u00e4hre'? It is that in another Unicode form; write both alike")
