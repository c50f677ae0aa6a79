"""The shell at a terminal: Ctrl-C ends what runs, Ctrl-D the shell.

shell_prompt.py URL PROGRAM...
"""

import os
import pty
import select
import sys
import time
import urllib.request

url, program = sys.argv[1], sys.argv[2:]
PATIENCE = 60
STARTS = 5


class Terminal:
    """A shell of its own, and what it has written."""

    def __init__(self):
        self.child, self.line = pty.fork()
        if self.child == 0:
            environment = dict(os.environ, XDG_STATE_HOME=os.devnull, TERM="xterm")
            os.execve(program[0], [*program, "shell", "--to", url], environment)
        self.text = b""

    def read(self, seconds):
        if select.select([self.line], [], [], seconds)[0]:
            try:
                self.text += os.read(self.line, 65536)
            except OSError as error:
                raise AssertionError(f"the shell is gone: {os.waitpid(self.child, 0)}") from error

    def expect(self, wanted, meanwhile=lambda: None):
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.text:
            assert time.monotonic() < deadline, f"{wanted} is due: {self.text}"
            meanwhile()
            self.read(0.2)
        self.text = self.text.split(wanted, 1)[1]

    def type(self, text):
        os.write(self.line, text)


def put():
    request = urllib.request.Request(
        f"{url}/api/v1/default/kv/k", b'{"value":"dg=="}', {"Content-Type": "application/json"}, method="PUT"
    )
    urllib.request.urlopen(request, timeout=PATIENCE).read()


# The editor of lines and the shell both listen to Ctrl-C: which begins first must not matter.
for _ in range(STARTS):
    shell = Terminal()
    shell.expect(b"default> ")
    shell.type(b"watch k\r")
    shell.expect(b"kv\tput\tk", meanwhile=put)
    shell.type(b"\x03")
    shell.expect(b"default> ")
    shell.type(b"get k\r")
    shell.expect(b"\nv\r\n")
    shell.expect(b"default> ")
    shell.type(b"\x04")
    _, status = os.waitpid(shell.child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
