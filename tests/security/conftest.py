"""The webhook application of tests/webhook."""

from tests.webhook.conftest import (  # noqa: F401
    _every_application_ends,
    _keep_the_logging_of_the_tests,
    app,
    app_settings,
)
