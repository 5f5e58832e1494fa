"""The approved templates, and whether a send fits one (whatsapp-cloud-api.md 7.5). The control API can add more."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from simulator.limits import invalid, need_list
from simulator.meta_errors import MetaError

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_FORBIDDEN_IN_PARAMETER = re.compile(r"[\n\t]| {5,}")


Status = Literal["APPROVED", "PENDING", "REJECTED", "PAUSED", "DISABLED"]
_NOT_SENDABLE = {"PAUSED": 132015, "DISABLED": 132016}


class Template(BaseModel):
    """A template, approved unless said: `{{nombre}}` in the body makes it named, `{{1}}` positional."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    language: str = "es"
    body: str
    buttons: list[str] = []  # labels of quick-reply buttons
    category: str = "utility"
    status: Status = "APPROVED"  # only an approved one can be sent
    quality: Literal["GREEN", "YELLOW", "RED", "UNKNOWN"] = "UNKNOWN"

    @property
    def variables(self) -> list[str]:
        return list(dict.fromkeys(_VARIABLE.findall(self.body)))

    @property
    def is_named(self) -> bool:
        return any(not name.isdigit() for name in self.variables)

    def to_meta(self) -> dict[str, Any]:
        """Return it as GET /{account}/message_templates shows it, with every field that is played."""
        body: dict[str, Any] = {"type": "BODY", "text": self.body}
        if self.variables:
            named = [{"param_name": name, "example": "ejemplo"} for name in self.variables]
            example = {"body_text_named_params": named} if self.is_named else {"body_text": [["ejemplo"] * len(named)]}
            body["example"] = example
        components = [body]
        if self.buttons:
            components.append(
                {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": label} for label in self.buttons]}
            )
        digest = hashlib.blake2b(f"{self.name}/{self.language}".encode(), digest_size=6).hexdigest()
        return {
            "id": str(int(digest, 16)),
            "name": self.name,
            "language": self.language,
            "status": self.status,
            "category": self.category.upper(),
            "parameter_format": "NAMED" if self.is_named else "POSITIONAL",
            "quality_score": {"score": self.quality, "date": 1790416800},
            "components": components,
        }


APPROVED = (
    Template(
        name="recordatorio_cita",
        body="Hola {{nombre}}, le recordamos su cita en el centro: {{fecha}}. ¿Podrá venir?",
        buttons=["Asistiré", "Cambiar fecha", "Cancelar cita"],
    ),
    Template(
        name="cita_perdida",
        body="Hola {{nombre}}, no pudimos atenderle en su cita: {{fecha}}. ¿Desea una nueva fecha?",
        buttons=["Nueva cita", "Hablar con alguien"],
    ),
    Template(
        name="aviso_importante",
        body="Hola {{nombre}}, el centro necesita hablar con usted hoy. Llame al {{telefono}} o responda aquí.",
        buttons=["Hablar con alguien"],
    ),
    Template(name="hello_world", language="en_US", body="Welcome and congratulations!"),
)


class Templates:
    """The templates by name and language. Guarded by `changes`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._known = {(template.name, template.language): template for template in APPROVED}

    def add(self, template: Template) -> None:
        self._known[template.name, template.language] = template

    def remove(self, name: str, language: str) -> bool:
        """Forget one; False when there is none."""
        return self._known.pop((name, language), None) is not None

    def all(self) -> list[Template]:
        return list(self._known.values())

    def get(self, send: dict[str, Any]) -> Template:
        """Return the template that a send names.

        Raises:
            MetaError: 132001 when there is none in that language, or none approved; 132015 paused, 132016 disabled.
        """
        name, language = send["name"], send["language"]["code"]
        template = self._known.get((name, language))
        if template is None:
            raise MetaError(132001, f"template name ({name}) does not exist in {language}")
        if template.status != "APPROVED":
            raise MetaError(_NOT_SENDABLE.get(template.status, 132001), f"template {name} is {template.status}")
        return template


def render(template: Template, send: dict[str, Any]) -> tuple[str, list[dict[str, str]]]:
    """Return the text and the quick-reply buttons (`payload`, `text`) that the patient sees.

    Raises:
        MetaError: 132000 wrong number of parameters, 132012 wrong form, 132018 a text or button that Meta refuses.
    """
    values: dict[str, str] = {}
    payloads: dict[int, str] = {}
    components = need_list(send, "components", 0, 20, "template.") if send.get("components") is not None else []
    for component in components:
        if not isinstance(component, dict):
            raise invalid("template.components", "must hold objects")
        kind, parameters = component.get("type"), component.get("parameters") or []
        if kind == "body":
            values = _body_values(template, parameters)
        elif kind == "button":
            index = _button_index(template, component)
            payloads[index] = str(parameters[0].get("payload", "")) if parameters else ""
        elif kind != "header":
            raise invalid("template.components.type", "must be header, body or button")
    if len(values) != len(template.variables):
        expected, got = len(template.variables), len(values)
        raise MetaError(132000, f"body: number of localizable_params ({got}) does not match the expected ({expected})")
    text = _VARIABLE.sub(lambda match: values[match.group(1)], template.body)
    if len(text) > 1024:
        raise MetaError(132005, "the text is longer than 1024 characters")
    # Without a payload given at send time, the payload is the label.
    buttons = [{"payload": payloads.get(i) or label, "text": label} for i, label in enumerate(template.buttons)]
    return text, buttons


def _body_values(template: Template, parameters: list[Any]) -> dict[str, str]:
    values: dict[str, str] = {}
    for number, parameter in enumerate(parameters, start=1):
        if not isinstance(parameter, dict) or parameter.get("type") not in ("text", "currency", "date_time"):
            raise MetaError(132012, "body: parameters must be text, currency or date_time")
        name = parameter.get("parameter_name") if template.is_named else str(number)
        if name is None or (not template.is_named and "parameter_name" in parameter):
            raise MetaError(132012, "body: named and positional parameters do not mix")
        if name not in template.variables:
            raise MetaError(132000, f"body: unexpected parameter {name}")
        content = parameter.get("text")
        if parameter["type"] != "text":
            content = (parameter.get(parameter["type"]) or {}).get("fallback_value")
        if not isinstance(content, str) or not content.strip() or _FORBIDDEN_IN_PARAMETER.search(content):
            raise MetaError(
                132018, "body: a parameter may not be empty, nor hold new lines, tabs or more than 4 spaces in a row"
            )
        values[name] = content
    return values


def _button_index(template: Template, component: dict[str, Any]) -> int:
    try:
        index = int(component.get("index", -1))
    except (TypeError, ValueError):
        index = -1
    if component.get("sub_type") != "quick_reply" or not 0 <= index < len(template.buttons):
        raise MetaError(132018, "buttons: no such quick reply button in the template")
    return index
