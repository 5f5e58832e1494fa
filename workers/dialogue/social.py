"""Greetings, thanks, leaving and coming back, asking for a person, off-topic talk, and everything that is not text."""

from __future__ import annotations

from shared.conversation import Conversation, Expects, Flow, FlowKind
from shared.messages import Message, MessageKind, Reply
from shared.prediction import Intent
from workers.dialogue.asking import ask, join, question, upcoming
from workers.dialogue.buttons import ASK_BACK, button, menu
from workers.dialogue.changing import begin_change, is_soon, look_up, settle
from workers.dialogue.decision import Conclusion, Decision, Known, TurnInput
from workers.dialogue.information import in_own_words
from workers.dialogue.wording import MAX_BUTTONS
from workers.dialogue.words import asks_to_return, cannot, would_rather
from workers.language.yes_no import answer_of

_MEDIA = {"image": "imagen", "video": "imagen", "document": "documento", "sticker": "sticker"}  # audio and voice: "voz"
SURE, GUESS = 0.60, 0.35  # dialogue specification section 4: act, ask back, fall back


def opt_out(known: Known) -> Conclusion:
    reply = Reply(text=known.text("baja"), buttons=menu(known.wording, Intent.BAJA))
    return Conclusion(reply=reply, action="opt_out", optout=True)


def come_back(known: Known) -> Conclusion:
    return Conclusion(reply=Reply(text=known.text("alta")), action="opt_in", optout=False, consent="chat: alta")


def agrees(turn: TurnInput, conversation: Conversation) -> bool:
    """Is this a written yes to the question about reminders, which was the last thing we said?"""
    return conversation.asked_about_reminders and conversation.flow is None and answer_of(turn.text) is True


def agree_to_reminders(known: Known, flow: Flow | None, *, by: str) -> Conclusion:
    """The patient wants to be written to; an open flow stays open. `by`: how they said it, for the record."""
    reply = Reply(text=known.say("reminders_on"))
    return Conclusion(reply=reply, flow=flow, action="opt_in", optout=False, consent=f"chat: {by}")


def returns(turn: TurnInput) -> bool:
    """Does the patient, in so many words, want our messages again?"""
    return asks_to_return(turn.text)


def call_a_person(known: Known, flow: Flow | None) -> Conclusion:
    """Hand over; an open flow waits."""
    reply = Reply(text=known.text("persona"))
    return Conclusion(reply=reply, flow=flow, action="handoff", handoff="pedido")


def urgent(known: Known, flow: Flow | None) -> Conclusion:
    """Last defence: the safety layer answers danger signs before the dialogue. An open flow is suspended."""
    reply = Reply(text=known.say("urgencia"), buttons=menu(known.wording, Intent.URGENCIA))
    return Conclusion(reply=reply, flow=suspend(flow), action="handoff", handoff="urgencia")


def suspend(flow: Flow | None) -> Flow | None:
    """Keep a flow after an alarm, but execute nothing of it without a new confirmation. For the road's alarm step."""
    return flow.model_copy(update={"suspended": True}) if flow else None


def chat(turn: TurnInput, conversation: Conversation, known: Known) -> Decision:
    """Answer what asks for nothing: saludo, despedida, afirmar, negar, informar_dato without a flow, fuera_de_tema."""
    intent = turn.prediction.intent
    said = turn.prediction.slots
    if intent is Intent.INFORMAR_DATO and said.appointment_ref:
        return look_up(turn, conversation, known)
    if cannot(turn.text) and upcoming(turn) and intent in (Intent.NEGAR, Intent.INFORMAR_DATO):
        return begin_change(FlowKind.CANCELAR, turn, conversation, known)  # asks, and offers to move it
    if intent is Intent.INFORMAR_DATO and (said.date or said.time) and would_rather(turn.text) and upcoming(turn):
        return begin_change(FlowKind.REPROGRAMAR, turn, conversation, known)
    if intent is Intent.INFORMAR_DATO and (said.date or said.time or said.time_window):
        flow = Flow(kind=FlowKind.AGENDAR, expects=Expects.FECHA, number=turn.new_number, slots=said)
        if said.date and said.time:  # the summary itself asks whether that is wanted
            flow = flow.model_copy(update={"expects": Expects.CONFIRMAR})
            if not turn.record.registered and not said.name:
                flow = flow.model_copy(update={"expects": Expects.NOMBRE})
        if turn.appointments is None:
            return Decision(turn, conversation, needs_agenda=True)
        return ask(flow, turn, conversation, known)
    if intent is Intent.AFIRMAR and not conversation.turns:  # a bare yes out of nowhere: most likely to a reminder
        soon = [visit for visit in upcoming(turn) if is_soon(visit, turn.now) and visit.status != "confirmed"]
        if len(soon) == 1:
            flow = Flow(kind=FlowKind.CONFIRMAR, expects=Expects.CUAL, number=turn.new_number)
            return settle(flow, soon[0], turn, conversation, known, sure=False)
    keys = {
        Intent.SALUDO: "saludo",
        Intent.DESPEDIDA_GRACIAS: "despedida",
        Intent.AFIRMAR: "de_acuerdo",
        Intent.NEGAR: "de_acuerdo",
        Intent.INFORMAR_DATO: "sigo_aqui",
    }
    key = keys.get(intent, "fuera_de_tema")
    may_word = conversation.introduced and intent in (Intent.SALUDO, Intent.DESPEDIDA_GRACIAS)
    own = in_own_words(turn, known, "") if may_word else None  # at first contact the notice has said who we are
    reply = Reply(text=own or known.text(key), buttons=menu(known.wording, intent))
    return Decision(turn, conversation, conclusion=Conclusion(reply=reply, flow=conversation.flow))


def foreign(known: Known, flow: Flow | None) -> Conclusion:
    """Another language: simple Spanish, and a person."""
    reply = Reply(text=known.text("otro_idioma"), buttons=menu(known.wording, Intent.HABLAR_HUMANO))
    return Conclusion(reply=reply, flow=suspend(flow), action="ask")


def not_sure(turn: TurnInput, conversation: Conversation, known: Known) -> Conclusion:
    """Low confidence: ask back with the likeliest intents, or say that it was not understood; twice: a person.

    An open question is asked again after it. Where the ways to go on take its place the flow is suspended, because a
    yes that comes next answers those and not the question before them.
    """
    prediction, flow, unsure = turn.prediction, conversation.flow, conversation.unsure_in_a_row + 1
    guess = prediction.confidence >= GUESS
    if unsure >= 2 and not guess:
        reply = _not_understood(known.say("handed_over"), flow, turn, known)
        return Conclusion(reply, flow, "handoff", unsure_in_a_row=unsure, handoff="no_entendido")
    if unsure >= 2:
        reply = _not_understood(known.say("offer_person"), flow, turn, known)
        return Conclusion(reply, flow, "ask", unsure_in_a_row=unsure)
    if not guess:
        reply = _not_understood(known.text("no_entendi"), flow, turn, known)
        return Conclusion(reply, flow, "ask", unsure_in_a_row=unsure)
    likely = [ASK_BACK[i] for i in (prediction.intent, *prediction.alternatives) if i in ASK_BACK]
    if len(set(likely)) < MAX_BUTTONS:
        likely.append("hablar")
    actions = list(dict.fromkeys(likely))[:MAX_BUTTONS]
    reply = Reply(text=known.text("no_seguro"), buttons=tuple(button(known.wording, action) for action in actions))
    return Conclusion(reply, suspend(flow), "ask", unsure_in_a_row=unsure)


def _not_understood(text: str, flow: Flow | None, turn: TurnInput, known: Known) -> Reply:
    """Always with the button that calls a person; with the open question and its first buttons, if there is one."""
    ways = menu(known.wording, Intent.FUERA_DE_TEMA)
    if flow is None or not turn.identity_known:
        return Reply(text=text, buttons=ways)
    asked = question(flow, turn, known)
    if asked.rows:
        return asked.model_copy(update={"text": join(text, asked.text)})
    kept = [tap for tap in asked.buttons if tap not in ways][: MAX_BUTTONS - 1]
    return Reply(text=join(text, asked.text), buttons=(*kept, button(known.wording, "hablar")) if kept else ways)


def not_text(messages: tuple[Message, ...], conversation: Conversation, known: Known) -> Conclusion:
    """Voice notes, pictures, places, cards: say that only text can be read; never guess what they hold."""
    kinds = {message.kind for message in messages} - {MessageKind.REACTION}
    if not kinds:
        return Conclusion(
            None, conversation.flow, unsure_in_a_row=conversation.unsure_in_a_row, introduced=False
        )  # a reaction is not answered
    key = "no_soportado"
    if MessageKind.MEDIA in kinds:
        media = next((message.media for message in messages if message.kind is MessageKind.MEDIA), None)
        key = _MEDIA.get(media or "", "voz")
    elif kinds & {MessageKind.LOCATION, MessageKind.CONTACTS}:
        key = "ubicacion" if MessageKind.LOCATION in kinds else "contactos"
    reply = Reply(text=known.text(key), buttons=menu(known.wording, Intent.FUERA_DE_TEMA))
    return Conclusion(reply, conversation.flow, "ask")
