"""`ringwall top` against a running gateway: one plain frame, and the live view in a terminal of our own."""
import fcntl, json, os, pty, re, select, signal, socket, struct, subprocess, termios, time
import pytest
from gateway import CLI, Gateway, wait_for
from test_run import moved
from gateway import CONFIG
from ua import Ua


@pytest.fixture(scope="module")
def g():
    g = Gateway(config=moved(CONFIG), ports="23000-23199")
    g.user("alice")
    g.start()
    yield g
    g.close()


def control(g, **request):
    s = socket.socket(socket.AF_UNIX)
    s.connect(os.path.join(g.state, "run", "control.sock"))
    s.sendall(json.dumps(request).encode() + b"\n")
    data = b""
    while chunk := s.recv(65536):
        data += chunk
    s.close()
    head, _, body = data.partition(b"\n")
    return int(head.split()[0]), json.loads(body)


class Screen:
    """What a terminal would show: the few sequences that ncurses sends to a vt100."""

    def __init__(self, rows, cols):
        self.rows, self.cols, self.y, self.x, self.rest = rows, cols, 0, 0, ""
        self.cells = [[" "] * cols for _ in range(rows)]

    def feed(self, text):
        text = self.rest + text
        i = 0
        while i < len(text):
            c = text[i]
            if c == "\x1b":
                m = re.compile(r"\x1b(\[([?0-9;]*)([A-Za-z])|[()][A-Z0-9]|[=>78M])").match(text, i)
                if not m:
                    break
                if m[3]:
                    self.csi(m[3], [int(n) if n.isdigit() else 0 for n in m[2].split(";")])
                i = m.end()
                continue
            i += 1
            if c == "\r":
                self.x = 0
            elif c == "\n":
                self.y = min(self.y + 1, self.rows - 1)
            elif c == "\b":
                self.x = max(self.x - 1, 0)
            elif c == "\t":
                self.x = min(self.x // 8 * 8 + 8, self.cols - 1)
            elif c >= " ":
                if self.x < self.cols:
                    self.cells[self.y][self.x] = c
                self.x += 1
        self.rest = text[i:]

    def csi(self, what, n):
        k = max(n[0], 1)
        if what == "H":
            self.y, self.x = min(k, self.rows) - 1, min(max(n[1] if len(n) > 1 else 1, 1), self.cols) - 1
        elif what == "K":
            for x in range(self.cols):
                if n[0] == 2 or (n[0] == 0 and x >= self.x) or (n[0] == 1 and x <= self.x):
                    self.cells[self.y][x] = " "
        elif what == "J":
            for y in range(self.rows):
                if n[0] == 2 or y > self.y:
                    self.cells[y] = [" "] * self.cols
            if n[0] == 0:
                self.csi("K", [0])
        elif what == "A":
            self.y = max(self.y - k, 0)
        elif what == "B":
            self.y = min(self.y + k, self.rows - 1)
        elif what == "C":
            self.x = min(self.x + k, self.cols - 1)
        elif what == "D":
            self.x = max(self.x - k, 0)

    def text(self):
        return "\n".join("".join(r).rstrip() for r in self.cells)


class Top:
    def __init__(self, g, rows=24, cols=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(CLI, [CLI, "top", "--state", g.state], {**os.environ, "TERM": "vt100", "LC_ALL": "C.UTF-8"})
        self.raw = ""
        self.size(rows, cols)

    def size(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        self.screen = Screen(rows, cols)

    def read(self, seconds):
        end = time.time() + seconds
        while time.time() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    data = os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    return
                self.raw += data
                self.screen.feed(data)

    def keys(self, k, until=None, seconds=6):
        """Presses, and gives the screen as soon as it holds what is waited for."""
        if k:
            os.write(self.fd, k.encode())
        end = time.time() + seconds
        while True:
            self.read(0.2)
            text = self.screen.text()
            if until is None or re.search(until, text):
                return text
            assert time.time() < end, f"no {until!r} in:\n{text}"

    def close(self):
        for _ in range(100):
            time.sleep(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            self.read(0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
        return None


@pytest.fixture
def top(g):
    made = []

    def make(*a):
        made.append(Top(g, *a))
        return made[-1]
    yield make
    for t in made:
        try:
            os.kill(t.pid, signal.SIGKILL)
            os.waitpid(t.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def add_ban(g, address):
    code, d = control(g, cmd="bans-add", address=address, why="test")
    if code == 1 and "command" in str(d):
        pytest.skip("this gateway has no bans")
    assert code == 0, d
    return d


def bans(g):
    return [b.get("address") for b in control(g, cmd="bans")[1]["bans"]]


def test_once_prints_every_pane(g):
    for args in (["--once"], []):  # no terminal is like --once
        r = g.run("top", *args, "--state", g.state)
        assert r.returncode == 0, r.stderr
        lines = r.stdout.splitlines()
        assert lines[0].startswith("ringwall ") and " running " in lines[0] and "calls 0" in lines[0]
        assert lines[1].startswith("shield:") and lines[2].startswith("reasons:")
        assert [x for x in lines if x in ("calls:", "registrations:", "attackers:", "bans:")] == ["calls:", "registrations:", "attackers:", "bans:"]
        assert "\x1b" not in r.stdout


def test_once_without_a_gateway(tmp_path):
    r = subprocess.run([CLI, "top", "--once", "--state", str(tmp_path)], capture_output=True, text=True, timeout=20)
    assert r.returncode == 3 and "not running" in r.stderr and not r.stdout


def test_registrations_and_reasons_are_shown(g, top):
    u = Ua("127.0.41.20", 0, ("127.0.41.1", 5061), "tls", "alice", g.passwords["alice"], ca=os.path.join(g.state, "ca.pem"))
    try:
        u.register()
        r = g.run("top", "--once", "--state", g.state)
        assert "alice@example.com" in r.stdout and "auth_required" in r.stdout
        t = top()
        t.keys("", r"\[1 calls\]")
        text = t.keys("2", r"\[2 registrations\][\s\S]*alice@example.com")
        assert max(map(len, text.split("\n"))) <= 80 and len(text.split("\n")) == 24
        assert re.search(r"SIP in [\d.]+/s", t.keys("", r"SIP in \d"))
        t.keys("q")
        assert t.close() == 0
    finally:
        u.close()


def test_keys(g, top):
    t = top()
    t.keys("", r"\[1 calls\]")
    t.keys("\t", r"\[2 registrations\]")
    t.keys("3", r"\[3 attackers\][\s\S]*SCORE")
    t.keys("4", r"\[4 bans\]")
    t.keys("\t", r"\[1 calls\]")
    t.keys("?", "release the marked ban")
    t.keys("?", "q quit")
    t.keys("p", "PAUSED")
    assert "PAUSED" not in t.keys("p\x0c", r"\[1 calls\]\s+2")
    t.keys("x\x1b[A\x1b[B", r"\[1 calls\]")
    t.keys("q")
    assert t.close() == 0
    assert t.raw.rstrip().endswith(("\x1b[?1l\x1b>", "\x1b>")) or "\x1b[?1l" in t.raw  # the terminal is given back


def test_a_ban_is_released_after_a_question(g, top):
    add_ban(g, "203.0.113.7")
    add_ban(g, "203.0.113.8")
    t = top()
    t.keys("4", r"\[4 bans\][\s\S]*203\.0\.113\.[78]")
    t.keys("r", r"release 203\.0\.113\.[78]\S*\? y or n")
    t.keys("n", "q quit")
    assert len(bans(g)) == 2
    t.keys("r", "y or n")
    t.keys("y", "released: 203")
    assert wait_for(lambda: len(bans(g)) == 1, 3)
    t.keys("r", "y or n")
    t.keys("y", "released: 203")
    assert bans(g) == []
    t.keys("r")  # nothing is marked: nothing happens
    t.keys("q")
    assert t.close() == 0


@pytest.mark.parametrize("rows,cols", [(24, 80), (10, 40), (3, 12), (50, 200)])
def test_sizes(g, top, rows, cols):
    t = top(rows, cols)
    t.keys("", "ringwall")
    for r, c in ((rows + 4, cols + 10), (rows, cols)):
        t.size(r, c)
        os.kill(t.pid, signal.SIGWINCH)
        t.read(0.5)
        assert "ringwall" in t.keys("\x0c", "ringwall").split("\n")[0]
    t.keys("q")
    assert t.close() == 0


def test_texts_of_peers_steer_nothing(g, top):
    """A user agent's words in a Contact and a From come to the screen without what steers a terminal."""
    t = top()
    t.keys("2", r"\[2 registrations\]")
    u = Ua("127.0.41.20", 0, ("127.0.41.1", 5061), "tls", "alice", g.passwords["alice"], ca=os.path.join(g.state, "ca.pem"))
    try:
        u.request("OPTIONS", "sip:example.com", "<sip:\x1b]0;owned\x07@example.com>", "esc@x", "t")
        t.read(2.5)
        assert "\x1b]" not in t.raw and "\x07" not in t.raw and "owned" not in t.screen.text()
    finally:
        u.close()
    t.keys("q")
    assert t.close() == 0
