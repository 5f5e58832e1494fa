"""What may come next in one answer: its grammar, until the reply has had its tokens. Built by `reader`."""

from __future__ import annotations

from collections.abc import Sequence

from workers.model.generation import Allowed


class BoundedReply:
    """The grammar of one answer, and the end of its reply after `most` tokens; `cut` says that it came to that."""

    def __init__(self, allowed: Allowed, opener: int | None, most: int) -> None:
        self._allowed, self._opener, self._most = allowed, opener, most
        self.cut = False

    def __call__(self, generated: list[int]) -> Sequence[int] | None:
        if self._opener in generated and len(generated) - generated.index(self._opener) > self._most:
            self.cut = True
            return []
        return self._allowed(generated)
