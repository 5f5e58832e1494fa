"""The adapter for the centre's present backend, Seguimiento, chosen by APPOINTMENTS_API=seguimiento.

`Seguimiento` (agenda.py) has the methods and errors of `workers.agenda.Agenda`. The backend knows no slots, no
conflicts, no cancelling and no idempotency, and some of its routes do harm; what is done about it stands at each file.
"""

from workers.seguimiento.agenda import Seguimiento

__all__ = ["Seguimiento"]
