from pathlib import Path

from weakseg.files import write_json
from weakseg.pipeline.manifests import MANIFEST
from weakseg.pipeline.remembered import remembered


def test_a_value_is_computed_once_for_the_same_products(tmp_path: Path) -> None:
    computed: list[int] = []

    def compute() -> list[int]:
        computed.append(len(computed))
        return [len(computed)]

    def finish(digest: str, *, complete: bool = True) -> None:
        told = {"key": "k", "versions": {}, "complete": complete, "products": {"digest": digest}}
        write_json(tmp_path / MANIFEST, told)

    assert remembered(tmp_path, "sum", compute) == [1]  # there is no step
    finish("a", complete=False)  # it is not finished
    assert remembered(tmp_path, "sum", compute) == [2]
    finish("a")
    assert [remembered(tmp_path, "sum", compute) for _ in range(2)] == [[3], [3]]
    assert remembered(tmp_path, "other", compute) == [4]
    finish("b")
    assert remembered(tmp_path, "sum", compute) == [5]
    (tmp_path / ".sum.json").write_text("[]")
    assert remembered(tmp_path, "sum", compute) == [6]
    assert remembered(tmp_path, "sum", lambda: None) == [6]
