"""Runs a command in a terminal of its own: ROWS COLUMNS COMMAND …; what it writes goes to standard output as it
is, escape sequences and all, and standard input is what is typed. Ends as the command does."""
import fcntl
import os
import pty
import select
import struct
import sys
import termios

rows, columns, *command = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    # Before the command looks at it.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))
    os.execvp(command[0], command)

typing = [sys.stdin.fileno()]
while True:
    ready, _, _ = select.select([terminal, *typing], [], [])
    if sys.stdin.fileno() in ready:
        typed = os.read(sys.stdin.fileno(), 1024)
        if typed:
            os.write(terminal, typed)
        else:
            typing = []
    if terminal in ready:
        try:
            written = os.read(terminal, 65536)
        except OSError:  # EIO is how Linux tells that nobody has the terminal open any more
            break
        if not written:
            break
        os.write(sys.stdout.fileno(), written)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
