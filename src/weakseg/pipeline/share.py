"""A share of the images, so that the jobs of an array work on one folder without speaking to each other."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weakseg.errors import ConfigError, cut

if TYPE_CHECKING:
    from weakseg.data.sample import WeakSample

SHARDS_FOLDER = ".shards"
"""In the folder of the products: what each shard has written there, and of what."""
MOST = 9999


@dataclass(frozen=True)
class Share:
    """One of several shares; which one an image belongs to, its id alone tells.

    Attributes:
        number: From 1.
        total: How many there are.
    """

    number: int
    total: int

    @classmethod
    def of(cls, text: str) -> "Share":
        """Return the share that is called so, ``2/8`` for example.

        Raises:
            ConfigError: If it is none.
        """
        found = re.fullmatch(r"\s*([0-9]{1,4})\s*/\s*([0-9]{1,4})\s*", text)
        share = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= share.number <= share.total <= MOST:
            raise ConfigError(f"shard: i/n with i from 1 to n, such as 1/8, and n at most {MOST}; got {cut(text)!r}")
        return share

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.number}-of-{self.total}"

    @property
    def all(self) -> "list[Share]":
        """This share, and then the others of as many."""
        return [Share((self.number - 1 + step) % self.total + 1, self.total) for step in range(self.total)]

    def takes(self, image_id: str) -> bool:
        """Return whether an image belongs to it."""
        digest = hashlib.blake2b(image_id.encode(errors="surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.total == self.number - 1

    def part(self, samples: "Iterable[WeakSample]") -> "list[WeakSample]":
        """Return the images that belong to it."""
        return [sample for sample in samples if self.takes(sample.id)]
