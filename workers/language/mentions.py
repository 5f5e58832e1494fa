"""Days and hours of a line with their role: the visit left behind, or the one wished for. Called by `dates`. Pure."""

from __future__ import annotations

import datetime as dt
import re
from enum import Enum, auto
from typing import NamedTuple

from workers.language.calendar_words import Day, find_days
from workers.language.clocks import Clock, find_clocks, mask
from workers.language.day_parts import Window, find_windows
from workers.language.numbers import Line


class Role(Enum):
    NEW = auto()
    OLD = auto()
    OPEN = auto()
    NEITHER = auto()  # an hour the patient only says they are busy at


class Mention(NamedTuple):
    start: int
    end: int
    what: Day | Clock | Window
    role: Role


# A wish to move a visit. Also used by the intent rules.
CHANGE = re.compile(
    r"\b(?:re ?program\w*|re ?agend\w*|cambi(?!aron|ado|ada)(?:ar|e|o|a|en|ame|arme|eme|arla|arlo|"
    r"emela|emelo|amela|arlas|amos)\w*"
    r"|(?:pas|mov)(?:ar|e|a)?(?:r?me|r)?(?:la|lo)(?:s)?|pas(?:eme|ame|arme)|muev\w+|mover\w*|moverl\w+|mueva\w*"
    r"|posterg\w+|pospon\w+|posponer\w*|aplaz\w+|adelant\w+|atras(?:ar|e|arla)\w*|recorr(?:er|a|e|an)(?:me|la|lo|mela)*"
    r"|otro d(?:ia|iita|ita)|otra fecha|nueva fecha|traslad\w+|otra hora(?:rio)?|otro horario|corrij\w+|en vez|envez"
    r"|en ves|en lugar)\b|"
    r"\bpas(?:ar|e|a) (?:mi|la|de|del|para|al)\b"
    r"|\b(?:agend|anot|reserv)\w+ .{1,40} y (?:me )?(?:cancel(?:e|a|en|ame|eme)\b|(?:anul|borr|quit)\w+)"
    r"|\b(?:cancel|anul|borr)\w+ .{1,40} y (?:dame|deme|me da|hacer otra|aser otra|agend|anot|pon)\w*"
    r"|\b(?:la|lo|las) (?:\w+ )?(?:pase|pasa|pasas|pasan|mueve|mueves|pasar)\b"
)
_VISIT = r"(?:cita|consulta|ficha|control|turno|hora|reserva|cupo|atencion|revision|la|el|lo)"
_ARTICLES = r"(?:(?:el|la|las|este|esta|dia|proximo|mismo|de|del)\s)*"
_OLD_BEFORE = re.compile(
    rf"(?:(?:en vez|envez|en ves|enves|en lugar) (?:de|del)(?: (?:ir|mi|{_VISIT}))* {_ARTICLES}"
    rf"|{_VISIT}(?: medica| de control| de \w+)? (?:(?:del|de)(?: dia| este| la| las| el)* )+(?:a las )?"
    rf"|\bcc(?: -)? ?\d{{1,4}},? ,? ?"
    rf"|\b(?:mi|la|su) {_VISIT} (?:es|era|seria|esta|cae|cayo|toca) (?:(?:para|recien|justo) )*{_ARTICLES}"
    rf"|(?:tengo|tiene|tienen|tenemos|tenia|teniamos|puse|puso|pusieron|saque|quedado|quede|quedamos|anotaron|"
    rf"falte|toca|tocaba|estaba|estoy|era|agendad[oa]|programad[oa]|anotad[oa]|"
    rf"marcad[oa]|fijad[oa]|reservad[oa])"
    rf"(?: (?:{_VISIT}|mi|una|un|medica|de control))*(?: (?:para|a|en))? {_ARTICLES}"
    rf"|\bten(?:go|ia|iamos) que (?:ir|volver|venir|presentarme|pasar) {_ARTICLES}"
    rf"|\biba(?:mos|n)? a (?:[^\s.,?]+ ){{1,5}}?{_ARTICLES}"
    rf"|\bno (?:me|nos|le) (?:da|dan|dara|conviene|deja\w*|dejan|autori\w+)(?: [^\s.,?]+){{0,4}}? {_ARTICLES}"
    rf"|\bno me (?:da|dan|dara) (?:el )?(?:tiempo|permiso) {_ARTICLES}"
    rf"|\bno (?:voy a |vamos a |va a )?(?:puedo|podre|podria|podra|poder|puede|pude|llego|alcanzo|"
    rf"voy|ire|ira|estare|estoy|asist\w+|llegare|"
    rf"llegar|podemos|podremos)(?: (?!pero|mejor|puede)[^\s.,?]+){{0,3}}? {_ARTICLES}"
    rf"|\b(?:ya )?no (?:es )?(?:(?:para|a|el|la|las|al|del|de)\s)+"
    rf"|\b(?:cambi\w+|pas\w+|mov\w+|muev\w+|re ?program\w+|recorr\w+|adelant\w+|posterg\w+)(?: "
    rf"(?!para|al|pero)[^\s.,?]+){{0,4}}? (?:del|de)(?: la| las| dia| el)* )$"
)
_NEW_BEFORE = re.compile(
    r"(?:\b(?:para|al|a|mejor|por|sea|ser|ir|puedo|puede|podria|podre|quiero|quisiera|prefiero|"
    r"habra|hay|tiene|tienen|venir|voy|ire|anot\w+|agend\w+)"
    r"(?:\s(?:el|la|las|este|esta|dia|proximo|del|de|a|para|mejor|tipo))*\s)$"
)
_CUE_CHARS = 200  # both end at the mention: what stands further away says nothing, and costs its square
_NOT_AFTER = re.compile(
    r"^\s*(?:,\s*)?(?:imposible|muy lejos|(?:ya )?no (?:puedo|voy|podre|podria|alcanzo|me|creo|va|estare|llego|ire|"
    r"podemos|tengo|hay|,|pued|es)"
    r"|(?:ya )?no\s*(?:$|[,.?])|no (?:mejor|sino)|se me)"
)
_BETTER_AFTER = re.compile(r"^\s*mejor\b")
_BUSY_AFTER = re.compile(
    r"^\s*(?:,\s*)?(?:(?:estoy|estare) (?:trabaj|ocupad|en el trabajo|de turno)|trabajo|tengo "
    r"(?:trabajo|clases|que|reunion)"
    r"|viajo|salgo|entro a)"
)
_CANNOT = re.compile(r"\bno (?:me )?(?:voy a |va a )?(?:puedo|podre|poder|llego|alcanzo|ire|estare|da tiempo|voy)\b")
_LET_IT_BE = re.compile(r"\b(?:que sea|puede ser|mejor|aunque sea)\b")
_HAS_VISIT = re.compile(r"\b(?:tengo|tenia|mi|la) (?:cita|ficha|consulta|control|turno|hora|para)\b|\bme tocaba?\b")


def find_mentions(line: Line, today: dt.date, moving: bool) -> list[Mention]:
    """Return every day, hour and part of the day of a line in order, each with its role. `moving`: CHANGE was found."""
    clocks = find_clocks(line.text, (today + dt.timedelta(days=1)).day, moving=moving)
    masked = line.text
    for clock in clocks:
        masked = mask(masked, clock.start, clock.end)
    windows = find_windows(masked)
    for window in windows:
        masked = mask(masked, window.start, window.end)
    mentions: list[Mention] = []
    found: list[Day | Clock | Window] = [*find_days(masked, today), *clocks, *windows]
    for what in sorted(found, key=lambda item: item.start):
        mentions.append(Mention(what.start, what.end, what, _role(line.text, what, mentions)))
    if moving:
        mentions = _from_hour_to_hour(line.text, mentions)
    # "a las 15 del 2 de diciembre", "en la mañana del jueves": the hour belongs to the day that follows it.
    for index, mention in enumerate(mentions[:-1]):
        following = mentions[index + 1]
        joined = line.text[mention.end : following.start].strip() in {"del", "de", "del dia", "el", "de el", ""}
        if joined and not isinstance(mention.what, Day) and isinstance(following.what, Day):
            mentions[index] = mention._replace(role=following.role)
    return mentions


def gives_up_one_visit_for_another(text: str, mentions: list[Mention]) -> bool:
    """Recognise "tengo ficha para hoy pero no llego, deme para mañana", where nobody says *cambiar*."""
    roles = {mention.role for mention in mentions if isinstance(mention.what, Day)}
    if not {Role.OLD, Role.NEW} <= roles or _HAS_VISIT.search(text) is None:
        return False
    return _CANNOT.search(text) is not None or _LET_IT_BE.search(text) is not None


def _from_hour_to_hour(text: str, mentions: list[Mention]) -> list[Mention]:
    """In a wish to move, "de las 9 a las 11" leaves nine and wants eleven."""
    changed = list(mentions)
    for index in range(len(mentions) - 1):
        first, second = mentions[index], mentions[index + 1]
        if not (isinstance(first.what, Clock) and isinstance(second.what, Clock)):
            continue
        from_to = opening_words(text[first.start : first.end]).startswith("de ") and opening_words(
            text[second.start : second.end]
        ).startswith("a ")
        if from_to and not text[first.end : second.start].strip():
            changed[index], changed[index + 1] = first._replace(role=Role.OLD), second._replace(role=Role.NEW)
    return changed


def _role(text: str, what: Day | Clock | Window, earlier: list[Mention]) -> Role:
    """Say whether a mention is the visit left behind, the one wished for, or simply the next piece of the last one."""
    begin = earlier[-1].end if earlier else 0
    before, after = text[begin : what.start], text[what.end :]
    own = text[what.start : what.end]
    cue = before[-_CUE_CHARS:] + (opening_words(own) if isinstance(what, Clock) else "")
    if _BUSY_AFTER.match(after):
        return Role.NEITHER
    if earlier and _BETTER_AFTER.match(after):
        return Role.NEW  # "al miércoles, o no, al jueves mejor"
    if _NOT_AFTER.match(after) or _OLD_BEFORE.search(cue):
        return Role.OLD
    if earlier and re.search(r"\bni\b", before):
        return earlier[-1].role
    if _NEW_BEFORE.search(cue):
        adjoining = before.strip() in {"", ",", "a", "y"} and isinstance(what, Clock) and bool(earlier)
        return earlier[-1].role if adjoining and not isinstance(earlier[-1].what, Clock) else Role.NEW
    if any(mention.role is Role.OLD and type(mention.what) is type(what) for mention in earlier):
        return Role.NEW  # "en vez del martes el jueves"
    if earlier and not re.search(r"[.?]|\b(?:mejor|para|pero|y)\b", before):
        return earlier[-1].role
    return Role.OPEN


def opening_words(own: str) -> str:
    """Return the words of a clock before its first digit: "de las " of "de las 3"."""
    found = re.match(r"\D*", own)
    return found.group() if found else ""
