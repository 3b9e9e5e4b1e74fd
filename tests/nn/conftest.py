"""Contracts of families of networks: pytest explains their assertions, too."""

import pytest

pytest.register_assert_rewrite("contracts")
