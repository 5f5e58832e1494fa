"""How soon a danger message gets its fixed reply while everything else hangs, loads or queues."""
