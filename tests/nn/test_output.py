import pytest

from weakseg.errors import ConfigError
from weakseg.nn.output import check_further


def test_what_is_given_may_be_asked_for() -> None:
    check_further(object(), (), ())
    check_further(object(), ["levels"], ("raw", "levels"))


@pytest.mark.parametrize(
    ("asked", "given", "message"),
    [
        (("dreams",), ("raw", "levels"), "object: gives no 'dreams'; beside logits it gives 'raw', 'levels'"),
        (("a", "raw", "b"), ("raw",), "object: gives no 'a', 'b'; beside logits it gives 'raw'"),
        (("raw",), (), "object: gives no 'raw'; beside logits it gives nothing"),
    ],
)
def test_unknown_names_are_refused(asked: tuple[str, ...], given: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_further(object(), asked, given)
