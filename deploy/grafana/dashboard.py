"""Builds assistant.json, the Grafana dashboard. Run: python -m deploy.grafana.dashboard

Built with Grafana's own types (grafana-foundation-sdk), so that only what Grafana's schema knows is written. Titles are
Spanish, as staff read them. A test compares the file with this.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueColorMode, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

FILE = Path(__file__).with_name("assistant.json")
DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
STEPS = {
    "ack": "confirmar a Meta",
    "triage": "buscar peligro",
    "turn": "responder",
    "model": "modelo",
    "backend": "sistema de citas",
    "send": "enviar a Meta",
    "reply": "todo hasta Meta",
}

Query = tuple[str, str]  # PromQL, legend


def _query(query: Query, ref: str) -> prometheus.Dataquery:
    expression, legend = query
    return prometheus.Dataquery().datasource(DATASOURCE).expr(expression).legend_format(legend).ref_id(ref)


def lines(title: str, unit: str, *queries: Query, width: int = 8, about: str = "") -> timeseries.Panel:
    """A graph over time. `unit` as Grafana names it: s, short, bytes, ops."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    panel = timeseries.Panel().title(title).description(about).datasource(DATASOURCE).unit(unit)
    panel = panel.span(width).height(8).min(0).legend(legend.show_legend(True))
    for ref, query in zip("ABCDEFGHIJ", queries, strict=False):
        panel = panel.with_target(_query(query, ref))
    return panel


def number(
    title: str, unit: str, expression: str, worry: Sequence[tuple[float | None, str]], about: str = ""
) -> stat.Panel:
    """One figure, coloured by `worry`: (from, colour), the first from None."""
    thresholds = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE)
    thresholds = thresholds.steps([Threshold(value=value, color=color) for value, color in worry])
    panel = stat.Panel().title(title).description(about).datasource(DATASOURCE).unit(unit).span(3).height(4)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).thresholds(thresholds)
    return panel.color_mode(BigValueColorMode.BACKGROUND).with_target(_query((expression, ""), "A"))


def _quantile(quantile: float, step: str) -> str:
    return f"histogram_quantile({quantile}, sum by (le) (rate(assistant_{step}_seconds_bucket[5m])))"


def _rate(metric: str, by: str = "") -> str:
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (rate(assistant_{metric}[5m]))"


def glance() -> list[stat.Panel]:
    states = {"1": ("Atendidos", "green"), "0.5": ("Con reglas", "yellow"), "0": ("Detenido", "red")}
    mapping = ValueMap(
        options={value: ValueMappingResult(text=text, color=color) for value, (text, color) in states.items()}
    )
    zero_is_well: list[tuple[float | None, str]] = [(None, "green"), (1, "red")]
    return [
        number(
            "Pacientes", "short", "assistant_health", [(None, "red"), (0.5, "yellow"), (1, "green")], "Como /health."
        ).mappings([mapping]),
        number("Prueba completa", "s", "assistant_canary_age_seconds", [(None, "green"), (600, "red")]),
        number("Workers", "short", 'assistant_workers{state="consuming"}', [(None, "red"), (1, "green")]),
        number(
            "Alarma sin atender", "s", "assistant_alarm_age_seconds", [(None, "green"), (120, "yellow"), (600, "red")]
        ),
        number("Incidentes abiertos", "short", 'assistant_queue_depth{queue="incidents"}', zero_is_well),
        number(
            "Por llamar", "short", 'assistant_queue_depth{queue="calls"}', [(None, "green"), (1, "yellow"), (20, "red")]
        ),
        number("Apartados", "short", 'assistant_queue_depth{queue="dead"}', zero_is_well),
        number(
            "Espera más larga",
            "s",
            'max(assistant_queue_age_seconds{queue=~"fresh|waiting|outgoing"})',
            [(None, "green"), (30, "yellow"), (120, "red")],
        ),
    ]


def messages() -> list[timeseries.Panel]:
    return [
        lines("Mensajes recibidos", "ops", (_rate("messages_total", "outcome"), "{{outcome}}")),
        lines("Envíos", "ops", (_rate("sends_total", "outcome"), "{{outcome}}")),
        lines("Estados de Meta", "ops", (_rate("statuses_total", "status"), "{{status}}")),
        lines("Intenciones", "ops", (f"topk(8, {_rate('intents_total', 'intent')})", "{{intent}}")),
        lines("Quién entendió", "ops", (_rate("turns_total", "source"), "{{source}}")),
        lines(
            "Lo que no entró bien",
            "ops",
            (_rate("signatures_refused_total"), "firma falsa"),
            (_rate("bodies_unreadable_total"), "ilegible"),
            (_rate("acks_refused_total"), "sin Redis ni disco"),
            (_rate("rate_limit_failures_total"), "límite sin contar"),
            (_rate("doorbells_failed_total"), "timbre perdido"),
        ),
    ]


def latencies() -> list[timeseries.Panel]:
    def each(quantile: float) -> list[Query]:
        return [(_quantile(quantile, step), name) for step, name in STEPS.items()]

    return [
        lines("Lo que tarda la mitad, por paso", "s", *each(0.5), width=12),
        lines("Lo que tarda uno de cada veinte, por paso", "s", *each(0.95), width=12),
    ]


def queues() -> list[timeseries.Panel]:
    return [
        lines("Cuántos esperan", "short", ("assistant_queue_depth", "{{queue}}")),
        lines(
            "Desde cuándo espera el más antiguo", "s", ('assistant_queue_age_seconds{queue!~"calls|dead"}', "{{queue}}")
        ),
        lines(
            "Celery: timbres sin atender y pulso",
            "short",
            ("assistant_bell_depth", "timbres {{queue}}"),
            ("assistant_pulse_age_seconds", "pulso {{queue}} (s)"),
        ),
        lines("Avisados de que esperan", "ops", (_rate("notices_total"), "«seguimos aquí»")),
        lines(
            "Turnos repetidos",
            "ops",
            (_rate("turns_failed_total", "cause"), "{{cause}}"),
            (_rate("leases_lost_total"), "turno perdido"),
        ),
        lines(
            "Envíos sin resultado",
            "ops",
            (_rate("unknown_sends_total", "kind"), "sin resultado {{kind}}"),
            (_rate("resends_total", "kind"), "repetido {{kind}}"),
            (_rate("settled_by_status_total"), "aclarado por Meta"),
        ),
        lines("Apartados para una persona", "ops", (_rate("dead_total", "kind"), "{{kind}}")),
    ]


def danger() -> list[timeseries.Panel]:
    return [
        lines(
            "Señales de peligro por hora",
            "short",
            ("sum by (level) (increase(assistant_danger_total[1h]))", "{{level}}"),
        ),
        lines(
            "Alarmas sin atender",
            "short",
            ('assistant_queue_depth{queue="alarms"}', "cuántas"),
            ("assistant_alarm_age_seconds / 60", "la más antigua (min)"),
        ),
        lines("Incidentes abiertos", "s", ("assistant_incident_age_seconds", "{{kind}}")),
    ]


def reminders() -> list[timeseries.Panel]:
    return [
        lines(
            "Recordatorios por hora",
            "short",
            ("sum by (outcome) (increase(assistant_reminders_total[1h]))", "{{outcome}}"),
            ('assistant_queue_depth{queue=~"reminders|unconfirmed"}', "{{queue}}"),
        ),
        lines(
            "A la lista de llamadas, por hora",
            "short",
            ("sum by (why) (increase(assistant_calls_total[1h]))", "{{why}}"),
        ),
        lines(
            "Lista de llamadas y pacientes con una persona",
            "short",
            ('assistant_queue_depth{queue=~"calls|handoffs"}', "{{queue}}"),
            ('assistant_queue_age_seconds{queue="calls"} / 3600', "la llamada más antigua (h)"),
        ),
    ]


def engine() -> list[timeseries.Panel]:
    rows = "rate(assistant_engine_batch_rows_sum[5m]) / rate(assistant_engine_batch_rows_count[5m])"
    return [
        lines(
            "Tokens por segundo",
            "short",
            ("assistant_engine_tokens_per_second", "{{worker}}"),
            (_rate("engine_tokens_total"), "generados"),
            (_rate("engine_prompt_tokens_total"), "leídos"),
            (_rate("engine_prefix_tokens_total"), "ya leídos antes"),
        ),
        lines(
            "Pasadas y borradores",
            "short",
            (_rate("engine_passes_total"), "pasadas"),
            (_rate("engine_draft_tokens_total", "outcome"), "borrador {{outcome}}"),
            (_rate("engine_forced_tokens_total"), "obligados"),
        ),
        lines(
            "Preguntas al modelo",
            "short",
            ("assistant_engine_waiting", "esperan {{worker}}"),
            ("assistant_engine_running", "en curso {{worker}}"),
            (rows, "juntas en un paso, media"),
        ),
        lines("Último paso del modelo", "s", ("assistant_engine_last_step_age_seconds", "{{worker}}")),
        lines("Preguntas por resultado", "ops", (_rate("engine_requests_total", "outcome"), "{{outcome}}")),
        lines(
            "Respondido sin modelo o con texto revisado",
            "ops",
            (_rate("model_skipped_total", "cause"), "{{cause}}"),
            (_rate("replies_blocked_total", "rule"), "bloqueado {{rule}}"),
        ),
        lines(
            "Workers",
            "short",
            ("assistant_workers", "{{state}}"),
            ("count by (model, revision) (assistant_model_info)", "{{model}} {{revision}}"),
        ),
    ]


def partners() -> list[timeseries.Panel]:
    return [
        lines(
            "Sistema de citas: tiempo", "s", (_quantile(0.5, "backend"), "mitad"), (_quantile(0.95, "backend"), "95 %")
        ),
        lines("Sistema de citas: fallos", "ops", (_rate("backend_failures_total", "cause"), "{{cause}}")),
        lines("WhatsApp: tiempo", "s", (_quantile(0.5, "send"), "mitad"), (_quantile(0.95, "send"), "95 %")),
    ]


def stores() -> list[timeseries.Panel]:
    return [
        lines(
            "Memoria de Redis",
            "bytes",
            ("assistant_redis_memory_used_bytes", "en uso"),
            ("assistant_redis_memory_limit_bytes > 0", "límite"),
        ),
        lines(
            "Redis guarda en disco",
            "short",
            ("assistant_redis_aof_enabled", "activado"),
            ("assistant_redis_aof_healthy", "sin errores"),
        ),
        lines(
            "Disco de los modelos",
            "bytes",
            ("assistant_model_cache_bytes", "ocupado {{worker}}"),
            ("assistant_model_cache_free_bytes", "libre {{worker}}"),
        ),
        lines(
            "Guardado en disco mientras falta Redis",
            "short",
            ("assistant_spool_bodies", "esperan"),
            ("assistant_spool_age_seconds", "el más antiguo (s)"),
            ("assistant_spool_bytes / assistant_spool_limit_bytes * 100", "lleno (%)"),
        ),
        lines("Entra y sale de ese disco", "ops", (_rate("spooled_total", "outcome"), "{{outcome}}")),
    ]


ROWS = {
    "De un vistazo": glance,
    "Mensajes": messages,
    "Tiempos por paso": latencies,
    "Colas y esperas": queues,
    "Peligro": danger,
    "Recordatorios y llamadas": reminders,
    "Modelo": engine,
    "Sistema de citas y WhatsApp": partners,
    "Redis y disco": stores,
}


def build() -> str:
    """The dashboard as JSON."""
    built = dashboard.Dashboard("Asistente de WhatsApp").uid("assistant").tags(["asistente"]).editable()
    built = built.timezone("browser").refresh("30s").time("now-6h", "now")
    built = built.with_variable(dashboard.DatasourceVariable("datasource").label("Fuente").type("prometheus"))
    for title, panels in ROWS.items():
        built = built.with_row(dashboard.Row(title))
        for panel in panels():
            built = built.with_panel(panel)
    made = built.build()
    for number_, panel in enumerate(made.panels or [], start=1):
        panel.id_val = number_
    return json.dumps(json.loads(json.dumps(made, cls=JSONEncoder)), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(build(), encoding="utf-8")
