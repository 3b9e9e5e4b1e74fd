"""Rules for the values of settings: an error names the one setting that breaks its rule, the rule and the value."""

import math
from typing import Any

from weakseg.errors import ConfigError, cut

Rule = str | tuple[str, ...]


class SettingError(ConfigError):
    """A value breaks the rule of its setting.

    Attributes:
        setting: Name of the setting within its section.
        value: Its value.
        wanted: The rule.
    """

    def __init__(self, section: str, setting: str, value: object, wanted: str) -> None:
        super().__init__(f"{f'{section}.' if section else ''}{setting}: {wanted}, got {cut(repr(value))}")
        self.setting, self.value, self.wanted = setting, value, wanted


def check_settings(section: str, config: object, **rules: Rule) -> None:
    """Refuse settings that break their rule; of a setting that is a tuple every value counts, one at least.

    Args:
        section: What the names of the settings start with, such as ``fit``; empty: nothing.
        config: Holds the settings as attributes.
        rules: What each of them has to be: a range for finite numbers, such as ``"> 0"``, ``">= 1"`` or
            ``"in [0, 1)"``; or the words that there are.

    Raises:
        SettingError: Names the first setting that breaks its rule, the rule, and the value.
    """
    for name, rule in rules.items():
        value = getattr(config, name)
        values = value if isinstance(value, tuple) else (value,)
        if not values or not all(one in rule if isinstance(rule, tuple) else _within(one, rule) for one in values):
            raise SettingError(section, name, value, spoken(rule) if isinstance(rule, tuple) else f"need {rule}")


def spoken(words: tuple[str, ...]) -> str:
    """Return words as ``'a', 'b' or 'c'``."""
    *most, last = map(repr, words)
    return f"{', '.join(most)} or {last}" if most else last


def _within(value: Any, rule: str) -> bool:
    """Return whether a value is a finite number in the range of a rule."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return False
    if rule.startswith("in "):
        low, high = (float(bound) for bound in rule[4:-1].split(","))
        return low < value < high or (value == low and rule[3] == "[") or (value == high and rule[-1] == "]")
    sign, bound = rule.split()
    return value > float(bound) or (value == float(bound) and sign == ">=")
