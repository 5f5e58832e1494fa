"""The daily report: what the assistant did on one day of the clinic, by mail to those who run it.

`daily.py` is rung by Beat, `__main__.py` is for a person. The road: audit -> `fold.py` -> `figures.py` -> `history.py`
(kept, compared) -> `table.py` (rows) -> `page.py` and `charts.py` (what is read) -> `mail.py`. Aggregates only: no
name, no number, no text of a patient.
"""
