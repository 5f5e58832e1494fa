"""The two pure steps of the dialogue around the effects: `decide` before them, `conclude` after them.

Called by the road (`workers/answer.py`). Nothing here reads a clock, a file or the network.
"""

from __future__ import annotations

from dataclasses import replace

from shared.conversation import Conversation, Expects, Flow, FlowKind
from shared.messages import Button, MessageKind, Reply
from shared.prediction import INFORMATION_INTENTS, Intent
from workers.dialogue import social
from workers.dialogue.asking import join, question, sound, upcoming
from workers.dialogue.booking import advance, begin_booking
from workers.dialogue.buttons import Choice, Scope, button, menu, read_choice, typed_choice
from workers.dialogue.changing import begin_change, describe, look_up
from workers.dialogue.decision import Conclusion, Decision, Known, Outcome, TurnInput
from workers.dialogue.flowing import in_flow
from workers.dialogue.information import inform, side_answer, with_question
from workers.dialogue.outcomes import conclude_call
from workers.dialogue.reading import KINDS
from workers.dialogue.refusing import refusal
from workers.dialogue.words import arrives_late, names_a_visit

# Free buttons whose title may be typed instead of tapped.
_TITLES = (
    "agendar agendar_control mi_cita informacion llegar horarios alarma pruebas hablar volver recordar asistire cambiar"
    " cancelar"
)
_TYPED = tuple(_TITLES.split())
_ACTED_UPON_UNSURE = frozenset(
    {
        Intent.SALUDO,
        Intent.DESPEDIDA_GRACIAS,
        Intent.AFIRMAR,
        Intent.NEGAR,
        Intent.INFORMAR_DATO,
        Intent.HABLAR_HUMANO,
        Intent.FUERA_DE_TEMA,
    }
)
_SURE_OF_NOTHING = 0.85
_NEEDS_IDENTITY = frozenset(KINDS) | {Intent.CONSULTAR_CITA}


def decide(turn: TurnInput, conversation: Conversation, known: Known) -> Decision:
    """Say what is to be done about one turn: an answer, a backend call, or that the backend is needed.

    A tap overrides `turn.prediction` with its own meaning; `Decision.turn` carries the prediction acted upon.
    """
    if conversation.flow is not None:
        conversation = conversation.model_copy(update={"flow": sound(conversation.flow)})
    choice = _choice(turn, conversation, known)
    if choice is not None and choice.scope is not Scope.STALE:
        turn = replace(turn, prediction=choice.prediction)
    decision = _route(turn, conversation, known, choice)
    if decision.conclusion is None:
        return decision
    return replace(decision, conclusion=_finish(decision.conclusion, turn, conversation, known))


def conclude(decision: Decision, outcome: Outcome | None, known: Known) -> Conclusion:
    """Say what the patient reads, once the call of `decision` (if any) has its `outcome`.

    Raises:
        ValueError: if the decision needs the agenda, or its call has no outcome.
    """
    if decision.conclusion is not None:
        return decision.conclusion
    if outcome is None:
        raise ValueError("the decision's call has no outcome")
    conclusion = conclude_call(decision, outcome, known)
    return _finish(conclusion, decision.turn, decision.conversation, known)


def _choice(turn: TurnInput, conversation: Conversation, known: Known) -> Choice | None:
    """The tap of this turn, or the button whose title was typed."""
    if turn.choice_id is not None:
        return read_choice(turn.choice_id, conversation)
    on_screen: tuple[Button, ...] = ()
    if conversation.flow is not None:
        on_screen = question(conversation.flow, turn, known).buttons
    free = tuple(button(known.wording, action) for action in _TYPED)
    choice_id = typed_choice(turn.text, (*on_screen, *free))
    return read_choice(choice_id, conversation) if choice_id else None


def _route(turn: TurnInput, conversation: Conversation, known: Known, choice: Choice | None) -> Decision:
    flow, said = conversation.flow, turn.prediction

    # 1. What interrupts everything.
    if said.danger is not None or said.intent is Intent.URGENCIA:
        return _say(social.urgent(known, flow), turn, conversation)
    if said.intent is Intent.BAJA:
        return _say(social.opt_out(known), turn, conversation)

    # 2. What is not words: taps that are over, media, contacts, another language, coming back.
    if choice is not None and choice.scope is Scope.STALE:
        return _say(_where_we_stand(turn, conversation, known), turn, conversation)
    if choice is None and not turn.text.strip():
        return _without_text(turn, conversation, known)
    if choice is None and turn.other_language:
        return _say(social.foreign(known, flow), turn, conversation)
    if choice is not None and choice.action == "en_camino":
        return _say(Conclusion(Reply(text=known.say("on_the_way")), flow), turn, conversation)
    if (choice is not None and choice.action == "volver") or (choice is None and social.returns(turn)):
        return _say(social.come_back(known), turn, conversation)
    if (choice is not None and choice.action == "recordar") or (choice is None and social.agrees(turn, conversation)):
        return _say(social.agree_to_reminders(known, flow, by="botón" if choice else "sí"), turn, conversation)

    if choice is None and (key := refusal(turn)):
        buttons = menu(known.wording, Intent.HABLAR_HUMANO)
        return _say(
            _and_ask_again(Conclusion(Reply(text=known.text(key), buttons=buttons)), turn, conversation, known),
            turn,
            conversation,
        )

    # 3. The open flow, if the turn is about it.
    if not turn.identity_known:
        return _without_identity(turn, conversation, known, choice)
    if flow is not None:
        decision = in_flow(flow, turn, conversation, known, choice)
        if decision is not None:
            return decision
    return _open(turn, conversation, known, choice)


def _open(turn: TurnInput, conversation: Conversation, known: Known, choice: Choice | None) -> Decision:
    """By intent; an open flow's question is repeated after the answer."""
    intent, flow = turn.prediction.intent, conversation.flow
    if intent not in _ACTED_UPON_UNSURE and not _sure_enough(turn):
        return _say(social.not_sure(turn, conversation, known), turn, conversation)
    if turn.prediction.confidence < social.GUESS:
        return _say(social.not_sure(turn, conversation, known), turn, conversation)

    if intent in KINDS:
        before = join(known.say("late") if turn.late else "", side_answer(turn, conversation, known))
        if intent is Intent.AGENDAR_CITA:
            return begin_booking(turn, conversation, known, before)
        if intent is Intent.CONFIRMAR_ASISTENCIA and choice is None and arrives_late(turn.text):
            visits = upcoming(turn)
            buttons = menu(known.wording, intent, visit=visits[0] if len(visits) == 1 else None)
            return _say(Conclusion(Reply(text=known.say("arrives_late"), buttons=buttons), flow), turn, conversation)
        referent = choice.arg if choice is not None and choice.scope is Scope.VISIT else None
        return begin_change(KINDS[intent], turn, conversation, known, before, referent)
    if intent is Intent.HABLAR_HUMANO:
        return _say(social.call_a_person(known, flow), turn, conversation)
    if intent is Intent.CONSULTAR_CITA:
        if flow is None or turn.appointments is None:
            return look_up(turn, conversation, known, side_answer(turn, conversation, known))
        conclusion = Conclusion(reply=describe(upcoming(turn), known), action="query")
    elif intent in INFORMATION_INTENTS:
        conclusion = inform(turn, conversation, known, choice)
    elif flow is None:
        return social.chat(turn, conversation, known)
    else:
        return _small_talk_in_flow(flow, turn, conversation, known)
    return _say(_and_ask_again(conclusion, turn, conversation, known), turn, conversation)


def _small_talk_in_flow(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known) -> Decision:
    intent = turn.prediction.intent
    if intent is Intent.DESPEDIDA_GRACIAS and flow.expects is not Expects.CONFIRMAR:
        return _say(Conclusion(Reply(text=known.text("despedida"))), turn, conversation)  # nothing was agreed: let go
    if intent is Intent.FUERA_DE_TEMA:
        text = known.say("off_topic_in_flow")
    else:
        text = known.say(
            {Intent.DESPEDIDA_GRACIAS: "thanks_in_flow", Intent.SALUDO: "welcome_in_flow"}.get(intent, "unsure_in_flow")
        )
    conclusion = Conclusion(Reply(text=text), action="ask")
    return _say(_and_ask_again(conclusion, turn, conversation, known), turn, conversation)


def _and_ask_again(conclusion: Conclusion, turn: TurnInput, conversation: Conversation, known: Known) -> Conclusion:
    flow = conversation.flow
    if flow is None or not turn.identity_known or (conclusion.reply and conclusion.reply.rows):
        return replace(conclusion, flow=flow)
    reply = with_question(conclusion, question(flow, turn, known))
    return replace(conclusion, reply=reply, flow=flow)


def _sure_enough(turn: TurnInput) -> bool:
    """Act at 0.60. What shows by itself whether it was meant needs less: a booking with a day or time, a look-up.

    To move, cancel or confirm what is not there needs more: without an appointment hardly anybody means that.
    """
    said = turn.prediction
    if said.intent in KINDS and said.intent is not Intent.AGENDAR_CITA and turn.appointments is not None:
        stated = names_a_visit(turn.text) or said.slots.date or said.slots.time or said.slots.appointment_ref
        return said.confidence >= (social.SURE if stated or upcoming(turn) else _SURE_OF_NOTHING)
    shows = said.intent is Intent.CONSULTAR_CITA or (
        said.intent is Intent.AGENDAR_CITA and (said.slots.date or said.slots.time)
    )
    return said.confidence >= (social.GUESS if shows else social.SURE)


def _without_text(turn: TurnInput, conversation: Conversation, known: Known) -> Decision:
    """Media, places, contacts, reactions. The patient's own number, when it was asked for, resumes what waited."""
    flow = conversation.flow
    own = any(m.kind is MessageKind.CONTACTS and m.contact_phone for m in turn.messages)
    if own and turn.identity_known and flow is not None:
        thanks = known.say("contact_received")
        if flow.kind is FlowKind.AGENDAR:
            return advance(flow, turn, conversation, known, thanks)
        return begin_change(flow.kind, turn, conversation, known, thanks)
    if own and turn.identity_known:
        text = join(known.say("contact_received"), known.text("saludo"))
        reply = Reply(text=text, buttons=menu(known.wording, Intent.SALUDO))
        return _say(Conclusion(reply), turn, conversation)
    conclusion = social.not_text(turn.messages, conversation, known)
    if conclusion.reply is None:
        return _say(conclusion, turn, conversation)
    return _say(_and_ask_again(conclusion, turn, conversation, known), turn, conversation)


def _without_identity(turn: TurnInput, conversation: Conversation, known: Known, choice: Choice | None) -> Decision:
    """Meta named a user id and no number: information works; appointments ask for the number once, then a person."""
    intent, flow = turn.prediction.intent, conversation.flow
    about_flow = flow is not None and intent in (Intent.AFIRMAR, Intent.NEGAR, Intent.INFORMAR_DATO)
    if intent not in _NEEDS_IDENTITY and not about_flow:
        return _open(turn, conversation, known, choice)
    if flow is not None:
        reply = Reply(text=known.say("no_identity"))
        return _say(Conclusion(reply, action="handoff", handoff="sin_numero"), turn, conversation)
    kind = KINDS.get(intent)
    waiting = (
        Flow(kind=kind, expects=Expects.FECHA, number=turn.new_number, slots=turn.prediction.slots) if kind else None
    )
    if waiting is not None and kind is not FlowKind.AGENDAR:
        waiting = waiting.model_copy(update={"expects": Expects.CUAL})
    reply = Reply(text=known.text("pedir_numero"), asks_contact=True)
    return _say(Conclusion(reply, waiting, "ask"), turn, conversation)


def _where_we_stand(turn: TurnInput, conversation: Conversation, known: Known) -> Conclusion:
    """The answer to a tap that is over: write nothing, say how things are."""
    flow, stale = conversation.flow, known.say("stale")
    if flow is not None:
        reply = question(flow, turn, known)
        return Conclusion(reply.model_copy(update={"text": join(stale, reply.text)}), flow, "ask")
    visits = upcoming(turn)
    if visits:
        reply = describe(visits, known)
        return Conclusion(reply.model_copy(update={"text": join(stale, reply.text)}), action="query")
    reply = Reply(text=join(stale, known.text("ayuda")), buttons=menu(known.wording, Intent.SALUDO))
    return Conclusion(reply)


def _say(conclusion: Conclusion, turn: TurnInput, conversation: Conversation) -> Decision:
    return Decision(turn, conversation, conclusion=conclusion)


def _finish(conclusion: Conclusion, turn: TurnInput, conversation: Conversation, known: Known) -> Conclusion:
    """Closing words of every answer: the notice of the first contact, and that pictures and audios are not read."""
    conclusion = replace(conclusion, intent=turn.prediction.intent)
    reply = conclusion.reply
    if reply is None or conclusion.handoff == "urgencia":
        return replace(conclusion, introduced=False)
    text = reply.text
    if turn.text.strip() and any(m.kind is MessageKind.MEDIA for m in turn.messages):
        text = join(known.say("media_too"), text)
    if not conversation.introduced:
        text = f"{known.text('presentacion')}\n\n{text}"
    return replace(conclusion, reply=reply.model_copy(update={"text": text}))
