-- A webhook has given Redis a portion of what its spool kept: statuses may have been among it, and more may follow.
note_back(now_ms())
return 1
