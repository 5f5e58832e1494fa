"""Why there is no model: kinds of `shared.errors.ModelUnavailable`. Raised by `hub` and `loader`, read by `holder`.

ModelUnavailable         the files are there and do not work, or the disk is full
├── ModelConfigError     a setting must change, restarting does not help (the worker ends with code 78)
└── HubUnreachable       nothing cached and no Hub: tried again later
"""

from __future__ import annotations

from shared.errors import ModelUnavailable


class ModelConfigError(ModelUnavailable):
    """What MODEL_NAME, MODEL_REVISION, HF_TOKEN or MODEL_DEVICE ask for cannot be had."""


class HubUnreachable(ModelUnavailable):
    """The Hub does not answer and this revision is not in the cache."""

    retry = True
