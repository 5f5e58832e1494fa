"""The folder of the spool, shared by all webhook processes of one host.

Filled by `webhook.keeper`, emptied by `webhook.replay`.

    bodies/   NAME files (`shared.spool.files`), replayed in the order of their names
    aside/    what could not be read or replayed; moved back into bodies/ it is tried again; removed after eight days
    new       the file being written
    *.lock    write: held for each change, holds the last place and the bytes in use; replay: held while bodies are
              replayed or erased; lead: held for life by the process that replays

Locks are flock: the kernel gives them back when their holder dies. Bodies leave the folder only once Redis has them, so
whoever finds it empty comes after all that was in it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.cipher import Cipher
from shared.settings import CONFIG_ERROR, Settings
from shared.spool.durable import locked, locked_within, place, read_state, sync, write, write_state
from shared.spool.files import Body, Size, name_of, on_disk, pack, read_name, unpack

ASIDE_DAYS = 8  # as long as message ids are remembered: replayed later, a message might be answered twice


class SpoolError(Exception):
    """Nothing could be kept, or the folder cannot be used; the text is a sentence."""


class Spool:
    """One per process; safe for threads and for several processes."""

    def __init__(self, folder: Path, cipher: Cipher, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._cipher = cipher
        self._bodies, self._aside = folder / "bodies", folder / "aside"
        self._lead: int | None = None
        self._refused_at = float("-inf")

    @classmethod
    def from_settings(cls, settings: Settings) -> Spool:
        """Nothing is touched yet; see `open`."""
        return cls(settings.SPOOL_DIR, Cipher.from_settings(settings), settings.SPOOL_MAX_MB * 1024 * 1024)

    def open(self) -> Spool:
        """Make the folder and try it out; what a power cut left of the figures is put right.

        Raises:
            SpoolError: it cannot be written.
        """
        try:
            for folder in (self._bodies, self._aside):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._writing() as state:
                last, _ = read_state(state)
                write(self.folder / "new", b"")
                (self.folder / "new").unlink()
                places = [known[0] for name in os.listdir(self._bodies) if (known := read_name(name))]
                write_state(state, max([last, *places]), self._counted())
            self._forget_old()
        except OSError as error:
            raise SpoolError(
                f"SPOOL_DIR: the folder {self.folder} cannot be written ({error.strerror}): "
                "without it messages are lost while Redis is away."
            ) from None
        return self

    @classmethod
    def open_or_end(cls, settings: Settings) -> Spool:
        """Open the spool of this host; end the process with code 78 and a sentence when it cannot be written."""
        try:
            return cls.from_settings(settings).open()
        except SpoolError as error:
            print(error, file=sys.stderr)
            raise SystemExit(CONFIG_ERROR) from None

    def close(self) -> None:
        """Let another process replay."""
        if self._lead is not None:
            os.close(self._lead)
            self._lead = None

    def holds(self) -> bool:
        """Whether anything waits: then new bodies go behind it. Cheap enough for each request."""
        try:
            with os.scandir(self._bodies) as found:
                return next(found, None) is not None
        except FileNotFoundError:
            return False
        except OSError:
            return True  # who cannot look must not overtake

    def size(self) -> Size:
        """How much lies there; lists the folder."""
        known = [read_name(name) or (0, 0, 1) for name in self.names()]
        oldest = min((received_ms for _, received_ms, _ in known if received_ms), default=None)
        return Size(len(known), sum(n for _, _, n in known), self.used_bytes(), oldest)

    def used_bytes(self) -> int:
        """What it takes on the disk, as the processes have counted it."""
        try:
            state = os.open(self.folder / "write.lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            return read_state(state)[1]
        finally:
            os.close(state)

    def has_room(self) -> bool:
        """Whether a body would find room now; the disk itself is not asked."""
        return self.used_bytes() < self.max_bytes and not self.refused_lately(10.0)

    def refused_lately(self, within_s: float) -> bool:
        """Whether this process had to refuse a body in the last seconds: limit reached, or disk full."""
        return time.monotonic() - self._refused_at < within_s

    # Keeping

    def put(self, bodies: Sequence[Body]) -> None:
        """Keep bodies durably, in one file, behind all that is there: write, fsync, rename, fsync the folder.

        Raises:
            SpoolError: there is no room, or the disk refused; nothing may be acknowledged.
        """
        data = pack(bodies, self._cipher)
        needed = on_disk(len(data))
        try:
            with self._writing() as state:
                last, used = read_state(state)
                if used + needed > self.max_bytes:
                    raise OSError(errno.EDQUOT, "SPOOL_MAX_MB is reached")
                write_state(state, last + 1, used + needed)  # before the rename: no place is ever given twice
                try:
                    place(data, self.folder / "new", self._bodies / name_of(last + 1, bodies))
                except OSError:
                    write_state(state, last + 1, used)
                    raise
        except OSError as error:
            self._refused_at = time.monotonic()
            raise SpoolError(f"nothing can be kept: {error.strerror}") from None

    # Replaying

    def leads(self) -> bool:
        """Whether this process is the one that replays; whoever asks first is, until it ends."""
        if self._lead is None:
            lock = os.open(self.folder / "lead.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                return False
            self._lead = lock
        return True

    @contextlib.contextmanager
    def replaying(self, wait_s: float = 0) -> Iterator[bool]:
        """Hold the right to take bodies out; False when somebody else has it and keeps it for `wait_s`."""
        lock = os.open(self.folder / "replay.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield locked_within(lock, wait_s)
        finally:
            os.close(lock)

    def names(self) -> list[str]:
        """The files that wait, oldest first."""
        try:
            return sorted(os.listdir(self._bodies))
        except FileNotFoundError:
            return []

    def read(self, name: str) -> tuple[Body, ...]:
        """The bodies of a file; () when it is gone.

        Raises:
            UnreadableFile: see `set_aside`.
        """
        return self.read_path(self._bodies / name)

    def remove(self, names: Sequence[str]) -> None:
        """Forget files whose bodies are in Redis."""
        with self._writing() as state:
            freed = 0
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    freed += on_disk((self._bodies / name).stat().st_size)
                    (self._bodies / name).unlink()
            self._count_down(state, freed)

    def set_aside(self, name: str) -> None:
        """Move a file that cannot be read out of the way."""
        with self._writing() as state, contextlib.suppress(FileNotFoundError):
            size = (self._bodies / name).stat().st_size
            (self._bodies / name).rename(self._aside / name)
            self._count_down(state, on_disk(size))

    def keep_aside(self, body: Body) -> None:
        """Keep a body that cannot be replayed, in a file of its own."""
        with self._writing() as state:
            last, used = read_state(state)
            write_state(state, last + 1, used)
            place(pack([body], self._cipher), self.folder / "new", self._aside / name_of(last + 1, [body]))

    # Erasing

    def paths(self) -> list[Path]:
        """All files, also those set aside."""
        return sorted([*self._bodies.iterdir(), *self._aside.iterdir()])

    def read_path(self, path: Path) -> tuple[Body, ...]:
        """As `read`, for one of `paths`."""
        try:
            return unpack(path.read_bytes(), self._cipher)
        except FileNotFoundError:
            return ()

    def rewrite(self, path: Path, bodies: Sequence[Body]) -> None:
        """Put these bodies in the place of a file's own; none: the file goes. Only while `replaying`."""
        with self._writing() as state:
            before = on_disk(path.stat().st_size)
            if bodies:
                data = pack(bodies, self._cipher)
                place(data, self.folder / "new", path)
                number, _, _ = read_name(path.name) or (0, 0, 0)
                path.rename(path.parent / name_of(number, bodies))
                before -= on_disk(len(data))
            else:
                path.unlink()
            sync(path.parent)
            if path.parent == self._bodies:
                self._count_down(state, before)

    # What lies beneath

    def _writing(self) -> contextlib.AbstractContextManager[int]:
        """Hold the lock of all changes; gives the file that keeps the state."""
        return locked(self.folder / "write.lock")

    def _count_down(self, state: int, freed: int) -> None:
        last, used = read_state(state)
        write_state(state, last, max(0, used - freed) if self.holds() else 0)

    def _counted(self) -> int:
        with os.scandir(self._bodies) as found:
            return sum(on_disk(entry.stat().st_size) for entry in found)

    def _forget_old(self) -> None:
        for path in self._aside.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ASIDE_DAYS * 86400:
                    path.unlink()
