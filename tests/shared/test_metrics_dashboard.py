"""Dashboard and alert rules ask for figures that exist, by labels that exist; Grafana and Prometheus can read them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana import dashboard
from tests.shared.metric_names import ROOT, SUFFIXES, guide

PROMETHEUS = ROOT / "deploy/prometheus"


def known() -> dict[str, set[str]]:
    """Sample names that Prometheus will have -> their labels."""
    found = {"up": {"job", "instance"}}
    for name, (kind, labels, _) in guide().items():
        for suffix in SUFFIXES[kind]:
            found[name + suffix] = {*labels, *({"le"} if suffix == "_bucket" else ())}
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def written() -> dict[str, Any]:
    return dict(json.loads(dashboard.FILE.read_text(encoding="utf-8")))


def targets() -> list[tuple[str, str]]:
    """(query, legend) of all panels."""
    panels = written()["panels"]
    return [(target["expr"], target["legendFormat"]) for panel in panels for target in panel.get("targets", ())]


def nodes(node: Any) -> Iterator[Any]:
    """A parsed expression and all that is in it."""
    yield node
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        if (inner := getattr(node, name, None)) is not None:
            yield from nodes(inner)
    for inner in getattr(node, "args", None) or ():
        yield from nodes(inner)


def asked(query: str) -> tuple[set[str], set[str]]:
    """Names of the samples, and of the labels that are matched or grouped by."""
    names: set[str] = set()
    labels: set[str] = set()
    for node in nodes(promql_parser.parse(query)):
        if isinstance(node, promql_parser.VectorSelector):
            names.add(node.name)
            labels |= {matcher.name for matcher in node.matchers.matchers}
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            labels |= set(node.modifier.labels)
    return names, labels


def test_a_query_is_taken_apart() -> None:
    query = 'histogram_quantile(0.9, sum by (le) (rate(a_bucket{job="x"}[5m]))) / (b > 0) or max(absent(c))'
    assert asked(query) == ({"a_bucket", "b", "c"}, {"le", "job"})


def test_the_dashboard_is_what_its_builder_builds() -> None:
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.build()


def test_grafana_s_types_read_the_dashboard_and_leave_nothing_out() -> None:
    read = Dashboard.from_json(written())
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == written()


def test_panels_have_each_an_id_a_title_and_a_place_of_its_own() -> None:
    panels = written()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] for panel in panels)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize("query", [*(query for query, _ in targets()), *(rule["expr"] for rule in rules())])
def test_every_query_asks_for_what_is_emitted(query: str) -> None:
    names, labels = asked(query)
    samples = known()
    assert names
    assert names <= set(samples)
    assert labels <= set().union(*(samples[name] for name in names))


@pytest.mark.parametrize(("query", "legend"), [target for target in targets() if "{{" in target[1]])
def test_every_legend_names_labels_that_the_result_has(query: str, legend: str) -> None:
    names, grouped = asked(query)
    has = grouped if " by (" in query else set().union(*(known()[name] for name in names))
    assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= has


def test_every_listed_figure_is_on_the_dashboard() -> None:
    shown = set().union(*(asked(query)[0] for query, _ in targets()))
    missing = [name for name, (kind, _, _) in guide().items() if not {name + s for s in SUFFIXES[kind]} & shown]
    assert missing == ["assistant_canary_late"]  # the rules ask for it


def test_a_rule_tells_staff_in_words_what_it_is() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


@pytest.mark.parametrize(
    "command",
    [("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml")],
)
def test_prometheus_own_tool_agrees(command: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH (Debian: apt-get install prometheus)")
    done = subprocess.run([promtool, *command], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
