"""How many patients on what hardware: figures measured here, a model of them, and a simulated day. See __main__."""
