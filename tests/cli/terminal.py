"""A command at a terminal of its own."""

from __future__ import annotations

import os
import pty
import re
import select
import termios

from tests.cli.conftest import LINKAUTH, PATIENCE, environment


class Terminal:
    """A command at a terminal of its own: what it writes, what is typed, Ctrl-C."""

    def __init__(self, *arguments: str, **env: str) -> None:
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(LINKAUTH[0], [*LINKAUTH, *arguments], environment(**env))

    def until(self, word: str) -> None:
        while word not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], PATIENCE)
            assert ready, self.seen
            try:
                self.seen += os.read(self.fd, 4096).decode(errors="replace")
            except OSError:  # it has closed the terminal
                raise AssertionError(self.seen) from None

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def end(self) -> int:
        try:
            while select.select([self.fd], [], [], PATIENCE)[0]:
                self.seen += os.read(self.fd, 4096).decode(errors="replace")
        except OSError:
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)

    def page(self) -> str:
        """The page that ``connect`` asks to open."""
        self.until("\r\n\r\nWhen")
        return re.findall(r"http\S+state=\S+", self.seen)[0]

    def echoes(self) -> bool:
        """Whether what is typed is to be seen."""
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)
