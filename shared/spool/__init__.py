"""Webhook bodies on disk, for the time when Redis is away: kept before the 200, replayed in order by `webhook.replay`.

`Spool` (folder.py) is the folder; `erase_from_spool` (erase.py) takes one patient out of it.
"""

from shared.spool.erase import erase_from_spool
from shared.spool.files import Body, Size, UnreadableFile
from shared.spool.folder import Spool, SpoolError

__all__ = ["Body", "Size", "Spool", "SpoolError", "UnreadableFile", "erase_from_spool"]
