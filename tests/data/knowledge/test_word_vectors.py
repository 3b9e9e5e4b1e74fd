import importlib.util
from pathlib import Path

import numpy as np
import pytest

from weakseg.data.knowledge.word_vectors import named_vectors, package_vectors, random_vectors, read_text_vectors
from weakseg.errors import ConfigError, DataError


def written(folder: Path, text: str) -> Path:
    path = folder / "vectors.txt"
    path.write_text(text, encoding="utf-8")
    return path


class TestText:
    def test_words(self, tmp_path: Path) -> None:
        path = written(tmp_path, "the 9 9\ncat 1 2\ntraffic 1 0\nlight 3 4\n. . . 5 5\nкот 0 -1e-1\ncat 7 7\n")
        found = read_text_vectors(path, ["cat", "traffic light", "кот", "Cats"])
        np.testing.assert_array_equal(found.vectors, np.array([[1, 2], [2, 2], [0, -0.1], [1, 2]], np.float32))
        assert found.vectors.dtype == np.float32 and not found.missing
        assert found.notes == (
            "word vectors, class 'traffic light': mean of 'traffic, light'",
            "word vectors, class 'Cats': looked up as 'cat'",
        )

    def test_first_line_of_word2vec(self, tmp_path: Path) -> None:
        found = read_text_vectors(written(tmp_path, "2 3\ncat 1 2 3\ndog 4 5 6\n"), ["dog"])
        np.testing.assert_array_equal(found.vectors, [[4, 5, 6]])

    def test_joined_names_go_before_means(self, tmp_path: Path) -> None:
        path = written(tmp_path, "hot_dog 5 5\nhot 1 1\ndog 3 3\n")
        np.testing.assert_array_equal(read_text_vectors(path, ["hot dog"]).vectors, [[5, 5]])

    def test_of_the_data(self, real_data: Path) -> None:
        # grm.md 2.3: 300 numbers, norms about 5.7 to 8 for names of one word
        names = ["aeroplane", "bicycle", "bird", "tvmonitor", "traffic light"]
        found = read_text_vectors(real_data / "knowledge" / "glove.300d.txt", names)
        assert found.vectors.shape == (5, 300) and not found.notes
        assert 4 < np.linalg.norm(found.vectors, axis=1).min() < np.linalg.norm(found.vectors, axis=1).max() < 9

    def test_names_that_are_nowhere(self, tmp_path: Path) -> None:
        path = written(tmp_path, "cat 3 4 0\ndog 0 0 7\n")
        found = read_text_vectors(path, ["cat", "unicorn", "dog", "猫"])
        assert found.missing == ("unicorn", "猫")
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), [5, 6, 7, 6], rtol=1e-6)
        assert found.notes[0] == "word vectors, class 'unicorn': not found, so that its vector is random"
        again = read_text_vectors(path, ["unicorn", "cat", "dog"])
        np.testing.assert_allclose(again.vectors[0], found.vectors[1], rtol=1e-6)

    def test_bad_files(self, tmp_path: Path) -> None:
        for text, message in {
            "cat 1 2 3\ndog 1 2\n": ":2: 2 numbers, but 3 in the first line",
            "cat 1 2 3\ndog 1 2 3 4\n": ":2: 4 numbers, but 3 in the first line",
            "cat 1 2 3\ndog 1 x 3\n": ":2: could not convert",
            "cat 1 2 3\ndog 1 nan 3\n": ":2: a number is not finite",
            "": "holds no word vectors",
            "cat\n": "holds no word vectors",
            "cow 1 2 3\n": "none of the classes cat, dog is in them",
        }.items():
            with pytest.raises(DataError, match=message):
                read_text_vectors(written(tmp_path, text), ["cat", "dog"])
        with pytest.raises(DataError, match=r"missing\.txt: word vectors cannot be read"):
            read_text_vectors(tmp_path / "missing.txt", ["cat"])


class TestOthers:
    def test_random(self) -> None:
        found = random_vectors(["a", "b", "c"]).vectors
        assert found.shape == (3, 300) and found.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 6.5, rtol=1e-6)
        np.testing.assert_array_equal(random_vectors(["c", "a"]).vectors, found[[2, 0]])
        assert abs(found[0] @ found[1]) < 0.3 * 6.5**2

    def test_zero_vectors_stay(self) -> None:
        found = named_vectors(["a", "b"], {"a": np.zeros(2, np.float32), "b": np.ones(2, np.float32)})
        np.testing.assert_array_equal(found.vectors, [[0, 0], [1, 1]])

    def test_without_spacy(self) -> None:
        if importlib.util.find_spec("spacy"):
            pytest.skip("spaCy is installed")
        with pytest.raises(ConfigError, match=r"pip install 'weakseg\[words\]'"):
            package_vectors("en_core_web_md", ["cat"])

    def test_spacy(self, tmp_path: Path) -> None:
        spacy = pytest.importorskip("spacy")
        model = spacy.blank("en")
        model.vocab.set_vector("cat", np.array([1, 2], np.float32))
        model.vocab.set_vector("light", np.array([3, 4], np.float32))
        model.to_disk(tmp_path)
        found = package_vectors(str(tmp_path), ["cat", "traffic light"])
        np.testing.assert_array_equal(found.vectors, [[1, 2], [3, 4]])
        with pytest.raises(ConfigError, match="no installed model 'nothing'"):
            package_vectors("nothing", ["cat"])
        spacy.blank("en").to_disk(tmp_path / "empty")
        with pytest.raises(ConfigError, match="has no word vectors"):
            package_vectors(str(tmp_path / "empty"), ["cat"])
