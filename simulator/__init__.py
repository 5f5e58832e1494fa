"""The outside world, offline: Meta's Cloud API, the appointments backend and a chat page in the browser.

It imports nothing of ours, so it cannot share our mistakes. Started by `python -m simulator`; see docs/simulator.md.
"""
