"""Patients and habits -> cores, memory, disk, bandwidth and Meta's limits. Pure arithmetic; the figures are measured.

Every figure is of one message that one patient wrote, answered by one reply, unless it says otherwise. What was
measured, where and how well it fits: docs/capacity.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

DAY_S = 86_400
MEGABYTE = 1e6
META_THROUGHPUT = (20, 80, 1000)  # messages a second of one number, in and out: with the Business app, usual, upgraded
META_UNIQUE_USERS = (250, 2_000, 10_000, 100_000)  # written to unasked in 24 h; then unlimited
FREE_REPLIES = 1_000  # a month and number


@dataclass(frozen=True)
class Figures:
    """What was measured; see `benchmarks.capacity.measure` and docs/capacity.md."""

    webhook_cpu_s: float  # accept a message, and the statuses of its reply
    turn_cpu_s: float  # search for danger, a turn by rules and n-grams, its delivery
    model_cpu_s: float  # what the model adds to a turn that it has to itself
    model_batched_cpu_s: float  # the same when turns queue: one step then works on many of them
    reminder_cpu_s: float  # plan, check against the agenda and send one reminder, on a worker
    redis_cpu_s: float
    redis_commands: float
    aof_bytes: float  # appended per message
    # Memory of Redis, in bytes.
    week_bytes: float  # a message and its reply, kept for 8 days
    audit_bytes: float  # a message and its reply in the audit, kept for AUDIT_DAYS
    conversation_bytes: float  # kept for CONVERSATION_TTL
    patient_bytes: float  # address and aliases, kept for 90 days
    empty_bytes: float  # before anybody wrote
    # When nobody writes, in cores.
    webhook_idle: float
    worker_idle: float  # per worker process
    redis_idle: float  # per worker process
    wire_bytes: float  # in and out of the machine: the webhook, the reply, three statuses, TLS and headers


@dataclass(frozen=True)
class Clinic:
    """Who writes, how much and when."""

    patients: int
    messages_per_day: float = 0.3  # of a patient, mean
    peak_hour_share: float = 0.12  # of a day's messages, in its busiest hour
    model_share: float = 0.8  # of the turns, how many ask the model
    messages_per_turn: float = 1.0  # a burst is answered once; 1: nobody writes in bursts
    reminders_per_day: float = 0.03  # per patient: visits a day
    audit_days: int = 30  # the default of AUDIT_DAYS
    conversation_ttl_s: int = 3600
    utilisation: float = 0.6  # of the cores that are counted for the peak hour: the rest is for bursts within it
    active_share: float = 1.0  # patients who wrote within 90 days


@dataclass(frozen=True)
class Plan:
    """What `Clinic` needs. Cores are of the machine that was measured."""

    messages_per_day: float
    peak_per_second: float
    webhook_cores: float
    worker_cores: float
    worker_cores_least: float  # with fewer the busiest hour is not kept up with; with so few turns wait for seconds
    worker_processes: int  # of two cores each
    redis_core_share: float  # of one core: Redis uses one thread, over 0.6 it holds everybody up
    redis_commands_per_second: float
    redis_memory_bytes: float
    redis_maxmemory_bytes: float  # what to set: room for a rewrite and for a day's backlog
    disk_bytes: float
    disk_bytes_per_second: float
    peak_bits_per_second: float
    meta_messages_per_second: float
    meta_throughput: int | None  # the level that is needed; None: more than one number is
    meta_numbers: int
    unique_users: int  # written to unasked in a day
    unique_users_limit: int | None  # the level that is needed; None: unlimited
    billed_replies_per_month: float  # over the free ones
    templates_per_month: float


def plan(clinic: Clinic, figures: Figures) -> Plan:
    """Work out what is needed in the busiest hour and for what is kept.

    Raises:
        ValueError: for shares that are none.
    """
    if not (1 / 24 <= clinic.peak_hour_share <= 1 and 0 <= clinic.model_share <= 1 and 0 < clinic.utilisation < 1):
        raise ValueError("a share is out of range: the peak hour has 1/24 to 1 of a day, the others 0 to 1")
    day = clinic.patients * clinic.messages_per_day
    peak = day * clinic.peak_hour_share / 3600
    turns = peak / clinic.messages_per_turn
    reminders_day = clinic.patients * clinic.reminders_per_day
    reminders = reminders_day / 10 / 3600  # spread over the hours in which visits are, quiet hours excepted
    webhook = (peak + reminders) * figures.webhook_cpu_s / clinic.utilisation + figures.webhook_idle
    work = turns * turn_cost_s(clinic.model_share, figures) + reminders * figures.reminder_cpu_s
    saved = turns * clinic.model_share * (figures.model_cpu_s - figures.model_batched_cpu_s)
    processes = max(1, math.ceil(work / clinic.utilisation / 2))
    memory = redis_memory(clinic, figures)
    meta = peak + turns + reminders
    unique = math.ceil(reminders_day)
    replies = day / clinic.messages_per_turn * 30
    return Plan(
        messages_per_day=day,
        peak_per_second=peak,
        webhook_cores=webhook,
        worker_cores=work / clinic.utilisation + processes * figures.worker_idle,
        worker_cores_least=work - saved + processes * figures.worker_idle,
        worker_processes=processes,
        redis_core_share=(peak + reminders) * figures.redis_cpu_s + processes * figures.redis_idle,
        redis_commands_per_second=(peak + reminders) * figures.redis_commands,
        redis_memory_bytes=memory,
        redis_maxmemory_bytes=memory * 1.5,
        disk_bytes=memory * 3,  # the file grows to twice the data and is then written anew beside itself
        disk_bytes_per_second=(peak + reminders) * figures.aof_bytes,
        peak_bits_per_second=(peak + reminders) * figures.wire_bytes * 8,
        meta_messages_per_second=meta,
        meta_throughput=next((level for level in META_THROUGHPUT[1:] if level >= meta / clinic.utilisation), None),
        meta_numbers=math.ceil(meta / clinic.utilisation / META_THROUGHPUT[-1]),
        unique_users=unique,
        unique_users_limit=next((level for level in META_UNIQUE_USERS if level >= unique), None),
        billed_replies_per_month=max(0.0, replies - FREE_REPLIES),
        templates_per_month=reminders_day * 30,
    )


def turn_cost_s(model_share: float, figures: Figures) -> float:
    """CPU-seconds of a worker per turn: all by rules, and the model's share."""
    return figures.turn_cpu_s + model_share * figures.model_cpu_s


def redis_memory(clinic: Clinic, figures: Figures) -> float:
    """Bytes of Redis' data once everything that is kept has reached its age."""
    day = clinic.patients * clinic.messages_per_day
    answered = day + clinic.patients * clinic.reminders_per_day
    talking = min(clinic.patients, day * clinic.peak_hour_share * clinic.conversation_ttl_s / 3600)
    return (
        figures.empty_bytes
        + answered * 8 * figures.week_bytes
        + answered * clinic.audit_days * figures.audit_bytes
        + talking * figures.conversation_bytes
        + clinic.patients * clinic.active_share * figures.patient_bytes
    )


@dataclass(frozen=True)
class Prices:
    """Yours, in one currency. None is known here; 0 leaves it out."""

    core_month: float = 0.0
    gigabyte_month: float = 0.0  # of memory
    reply: float = 0.0  # a service message over the free ones
    template: float = 0.0  # a utility template


def monthly_cost(plan: Plan, prices: Prices) -> dict[str, float]:
    """Price of a month by item: servers for the peak hour, Redis' memory, Meta's messages."""
    return {
        "cores": (plan.webhook_cores + plan.worker_cores + max(0.5, plan.redis_core_share)) * prices.core_month,
        "memory": plan.redis_maxmemory_bytes / 1e9 * prices.gigabyte_month,
        "replies": plan.billed_replies_per_month * prices.reply,
        "templates": plan.templates_per_month * prices.template,
    }


@dataclass(frozen=True)
class Expected:
    """What one real run should take, by the model; compared with what it took."""

    webhook_cpu_s: float
    worker_cpu_s: float
    redis_cpu_s: float
    redis_commands: float
    aof_bytes: float
    redis_bytes: float


def expected(messages: int, model_share: float, figures: Figures) -> Expected:
    """What so many messages cost, idle shares excepted."""
    return Expected(
        webhook_cpu_s=messages * figures.webhook_cpu_s,
        worker_cpu_s=messages * turn_cost_s(model_share, figures),
        redis_cpu_s=messages * figures.redis_cpu_s,
        redis_commands=messages * figures.redis_commands,
        aof_bytes=messages * figures.aof_bytes,
        redis_bytes=messages
        * (figures.week_bytes + figures.audit_bytes + figures.conversation_bytes + figures.patient_bytes),
    )
