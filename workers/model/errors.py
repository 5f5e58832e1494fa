"""Why there is no model: kinds of `shared.errors.ModelUnavailable`, raised by `hub`, `loader` and `gate` for `holder`.

ModelUnavailable         the files are there and do not work
├── ModelConfigError     a setting must change, restarting does not help (the worker ends with code 78)
├── ModelRefused         it runs, and fails the release gate
├── HubUnreachable       nothing cached and no Hub: tried again later
└── DiskFull             no room for the download: tried again later
"""

from __future__ import annotations

from shared.errors import ModelUnavailable


class ModelConfigError(ModelUnavailable):
    """What MODEL_NAME, MODEL_REVISION, HF_TOKEN or MODEL_DEVICE ask for cannot be had."""


class ModelRefused(ModelUnavailable):
    """The model answers too few of the messages that every usable model must get right."""


class HubUnreachable(ModelUnavailable):
    """The Hub does not answer and this revision is not in the cache."""

    retry = True


class DiskFull(ModelUnavailable):
    """The cache has no room for the model; worth another try once somebody has made some."""

    retry = True
