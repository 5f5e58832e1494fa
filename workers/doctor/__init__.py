"""`make doctor`: is everything there that an installation needs? One line per check, with what to do about it.

Each module asks one partner and ends in `Check`s; judging is kept apart from asking. It reads only: nothing is sent,
booked or stored, but for the test mail that `--send-test-mail` asks for.
"""
