"""One turn at a registered model: who is to get an alias, by which rule, and what was found about its holder."""

from collections.abc import Callable

from trainyard.contract import Alias, Name, Promote, Promotion, Rollback, Wire
from trainyard.registry.promotion import Decision, Judgement


class Turn(Wire):
    """A version that is to be decided about by `rule`; without one it is given `alias`, whoever holds that."""

    name: Name
    version: str
    rule: Promote | None = None
    alias: Alias = "champion"
    holder: str | None = None
    """Who held the rule's alias when it was judged; None where nobody did."""
    judgement: Judgement | None = None
    """About that holder."""
    word: Promotion | None = None
    """Of whoever has asked."""
    back: Rollback | None = None
    """Asked to give the alias back: `version` held it before `holder`, and nothing is compared."""


class AnotherHolder(Exception):
    """The alias is not held any more by the version that was judged."""


Turns = Callable[[Turn], Decision]
"""Decides, moves and notes, in turn with all others. Raises `AnotherHolder` and `RegistryConflict`."""
