"""Does the patient write in Quechua, Aymara or Guaraní? Then the answer is simple Spanish and a person."""

from __future__ import annotations

from workers.language.normalise import words

# Common words that are not Spanish; greetings and question words count too. Two are needed: a Spanish sentence may
# hold one (imaynalla, ari, wawa).
_WORDS = frozenset(
    """
    imaynalla imaynallan nuqa nuqaqa noqa noqaqa nanawan nanawashan nanachkan hampi jampi hampikuna jampita umay umayqa
    kani kashani kachkani munani munanichu allin sunqu sunquy punchay onqosqa unqusqa unquchkani unqusqani yanapaway
    yanapawanki maypi jayka hayka jaykaq wiksa wiksay ujuni ujushani chhuju mikhuy yawar jamuni jamusaq risaq qammanta
    runasimi parlay parlanki atinichu manan mana arí qanchari jaywaway
    kamisaraki kamisasktasa nayax nayaxa usuta usutatwa usuntta qulla qullanaka janiwa jani aski urukipana yanaptita
    yanapt'ita walikiwa waliki chuyma piqi phiqi kunjama kunapachasa munta muntwa jutta juta jichhuru jichhurux arumanti
    aymarat parlt wila ujuntta jumax utjiti
    mbaeichapa mbaichapa maitei cherasy chehasy hasy ahasy poha pohano aikoteve aipota ndaikuaai rasy chembo
    hasyeterei aguyje ikatu mamo araka nderasy tuguy ahuu
    """.split()
)


def is_other_language(text: str) -> bool:
    """True when at least two words, and a third of all, are of an indigenous language."""
    said = words(text)
    found = sum(word in _WORDS for word in said)
    return found >= 2 and found * 3 >= len(said)
