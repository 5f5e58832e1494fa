"""Settings: do they load, is what webhook and worker need there, who hears of danger, are the texts signed?"""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_settings import SettingsError

from shared.knowledge import Knowledge, KnowledgeError
from shared.setting_values import parse_ladder
from shared.settings import ProcessRole, Settings, missing
from shared.texts import Texts, TextsError
from workers.doctor.check import Check, failed, off, ok, warning

NAME = "settings"
_CORRECT = "correct it in .env or in the environment (.env.example explains each setting)"
_LETTER = "have a clinician read them and fill in reviewed_by and reviewed_on"


def load() -> tuple[Settings | None, list[Check]]:
    """Read the settings; None with one failed check for each that is wrong."""
    try:
        settings = Settings()
    except ValidationError as error:
        return None, [_wrong(problem["loc"], problem["msg"]) for problem in error.errors(include_input=False)]
    except (SettingsError, OSError, UnicodeDecodeError) as error:
        return None, [failed(NAME, f"cannot be read ({type(error).__name__})", f".env must be readable: {_CORRECT}")]
    if settings.DEMO:
        advice = "set DEMO=false where patients write"
        return settings, [warning(NAME, "DEMO=true: secrets are not required, unreviewed cards are sent", advice)]
    return settings, [ok(NAME, "readable")]


def _wrong(place: tuple[int | str, ...], message: str) -> Check:
    name = ".".join(str(part) for part in place)
    sentence = message.removeprefix("Value error, ")
    return failed(NAME, f"{name}: {sentence}" if name else sentence, _CORRECT)


def check(settings: Settings) -> list[Check]:
    return [
        _required(settings, ProcessRole.WEBHOOK),
        _required(settings, ProcessRole.WORKER),
        judge_channels(settings),
        judge_links(settings),
        judge_report(settings),
        judge_pages(settings),
        *_wording(settings),
    ]


def _required(settings: Settings, role: ProcessRole) -> Check:
    name = f"settings of {role}"
    if lacking := missing(settings, role):
        return failed(name, f"{', '.join(lacking)} not set", f"set it: the {role} does not start without")
    return ok(name, "not required in the demo" if settings.DEMO else "complete")


def judge_channels(settings: Settings) -> Check:
    """Danger alerts: the backend is told by every worker; beyond it there must be somebody who is woken."""
    name = "alert channels"
    outside = _outside(settings)
    told = ["backend"] if settings.APPOINTMENTS_API == "contract" else []  # the other one takes no alerts
    if not outside:
        found = f"no e-mail and no Slack: danger signs reach {'the appointments backend only' if told else 'nobody'}"
        advice = "set SMTP_HOST with ALERT_EMAIL_FROM and ALERT_EMAIL_TO, or SLACK_WEBHOOK_URL"
        return warning(name, found, advice) if settings.DEMO else failed(name, found, advice)
    steps = [
        {"slack" if c == "slack" else "email" for c in rung.contacts} for rung in parse_ladder(settings.ALERT_LADDER)
    ]
    if not steps[0] & set(outside):
        found = f"the first step of ALERT_LADDER reaches nobody: only {', '.join(outside)} is set up"
        return failed(name, found, f"let ALERT_LADDER begin with {outside[0]}, or set up what it names")
    is_default = bool(Settings.model_fields["ALERT_LADDER"].default == settings.ALERT_LADDER)
    idle = set().union(*steps) - set(outside)
    if idle and not is_default:  # the default names both; whoever has set up one has not forgotten the other
        found = f"ALERT_LADDER names {', '.join(sorted(idle))}, which is not set up"
        return warning(name, found, "set it up, or take it out of ALERT_LADDER")
    return ok(name, ", ".join(told + outside))


def _outside(settings: Settings) -> list[str]:
    """The channels beside the backend that are set up."""
    has_email = bool(settings.SMTP_HOST and settings.ALERT_EMAIL_FROM and settings.ALERT_EMAIL_TO)
    return ["email"] * has_email + ["slack"] * bool(settings.SLACK_WEBHOOK_URL)


def judge_links(settings: Settings) -> Check:
    """Alerts carry a link by which staff say that they have seen them."""
    name = "alert links"
    if settings.PUBLIC_URL:
        return ok(name, "PUBLIC_URL is set")
    if not _outside(settings):
        return off(name, "no alerts by e-mail or Slack")
    advice = "set PUBLIC_URL to where staff reach the webhook process, such as https://asistente.example.org"
    return warning(name, "PUBLIC_URL is not set: alerts carry no link, nobody can acknowledge them", advice)


def judge_report(settings: Settings) -> Check:
    name = "daily report"
    if not settings.REPORT_EMAIL_TO:
        return off(name, "REPORT_EMAIL_TO is not set")
    if not settings.SMTP_HOST:
        return warning(name, "REPORT_EMAIL_TO is set and SMTP_HOST is not: no report is sent", "set SMTP_HOST")
    return ok(name, "is sent by e-mail")


def judge_pages(settings: Settings) -> Check:
    """The pages for operators, which stay closed without a password."""
    name = "operators' pages"
    passwords = {"/ops": settings.OPS_BASIC_AUTH, "Flower": settings.FLOWER_BASIC_AUTH or settings.DEMO}
    closed = [page for page, password in passwords.items() if not password]
    is_open = [page for page in passwords if page not in closed]
    if not is_open:
        return off(name, "OPS_BASIC_AUTH and FLOWER_BASIC_AUTH are not set: /ops and Flower stay closed")
    return ok(name, ", ".join(is_open) + (f"; {closed[0]} stays closed without its password" if closed else ""))


def _wording(settings: Settings) -> list[Check]:
    """The two files of what patients read; a worker does not start when one cannot be read."""
    mend = "put back the file of the release: no worker starts with this one"
    found: list[Check] = []
    try:
        cards = Knowledge.load()
        found.append(judge_cards(len(cards.unsigned()), len(cards.cards), settings))
    except KnowledgeError as error:
        found.append(failed("knowledge cards", str(error).splitlines()[0], mend))
    try:
        signed = Texts.load(settings).signed
        advice = f"{_LETTER} in shared/assets/texts.yaml"
        found.append(
            ok("fixed texts", "signed") if signed else warning("fixed texts", "no clinician has signed them", advice)
        )
    except TextsError as error:
        found.append(failed("fixed texts", str(error).splitlines()[0], mend))
    return found


def judge_cards(unsigned: int, whole: int, settings: Settings) -> Check:
    name = "knowledge cards"
    if not unsigned:
        return ok(name, f"all {whole} signed")
    effect = "they are sent all the same" if settings.may_send_unreviewed else "patients get the centre's phone instead"
    found = f"{unsigned} of {whole} are not signed by a clinician: {effect}"
    return warning(name, found, f"{_LETTER} in shared/assets/knowledge.yaml")
