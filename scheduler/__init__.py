"""The bell: Celery Beat and Flower. Needs only shared/."""
