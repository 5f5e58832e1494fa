"""A page of /ops is made of pieces: bits of HTML with a name, so that only what changed travels to an open browser.

A form in a piece carries an id that is good for one submit. It is put in when the piece is sent and left out of the
digest, so that it is new each time and yet changes nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from flask import render_template
from markupsafe import Markup

_FORM_ID = "form-" + secrets.token_hex(16)  # stands for the form's id until the piece is sent; nobody can write it


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a page: `template` of templates/ops/piezas, filled with `data`."""

    key: str  # unique on its page; becomes an element id
    template: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A piece as HTML. `digest` changes when what is to be seen changes."""

    key: str
    digest: str
    _html: str

    def html(self) -> Markup:
        """The element, its forms with fresh ids."""
        parts = self._html.split(_FORM_ID)
        inner = parts[0] + "".join(secrets.token_hex(12) + part for part in parts[1:])
        opening = Markup('<div class="piece" data-piece="{}" data-v="{}">').format(self.key, self.digest)
        return opening + Markup(inner) + Markup("</div>")  # noqa: S704 # nosec B704 - Jinja has escaped it


def render(pieces: Iterable[Piece]) -> list[Rendered]:
    """Fill the templates, in order."""
    rendered = []
    for piece in pieces:
        html = render_template(f"ops/piezas/{piece.template}.html", key=piece.key, form_id=_FORM_ID, **piece.data)
        rendered.append(Rendered(piece.key, hashlib.blake2b(html.encode(), digest_size=6).hexdigest(), html))
    return rendered
