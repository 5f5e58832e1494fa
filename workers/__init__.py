"""The answer: the model, the decisions, the partners."""
