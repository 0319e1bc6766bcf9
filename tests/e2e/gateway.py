"""A gateway of one's own: state folder, configuration, users, start, questions, stop."""
import json, os, re, shutil, signal, subprocess, tempfile, time

BUILD = os.environ.get("RINGWALL_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build"))
CLI = os.path.join(BUILD, "src", "app", "cli", "ringwall")
PUB, PRIV = "127.0.1.1", "127.0.2.1"   # our public and private address
PHONE, PHONE2 = "127.0.1.20", "127.0.1.21"
PBX, PAIR1, PAIR2, TRUNK = "127.0.2.10", "127.0.2.12", "127.0.2.13", "127.0.2.20"
DOMAIN = "example.com"

CONFIG = """
domains: [example.com]
state: {state}
engines: {engines}
media: {{ports: {ports}}}
certificates:
  default: {{chain: server.pem, key: server}}
listeners:
  - {{name: tls, transport: tls, address: "127.0.1.1:5061"}}
  - {{name: udp, transport: udp, address: "127.0.1.1:5060"}}
  - {{name: tcp, transport: tcp, address: "127.0.1.1:5060"}}
  - {{name: lan, transport: udp, address: "127.0.2.1:5060"}}
  - {{name: lan-tcp, transport: tcp, address: "127.0.2.1:5060"}}
  - {{name: udp6, transport: udp, address: "[::1]:5060"}}
  - {{name: tls6, transport: tls, address: "[::1]:5061"}}
zones:
  - {{name: phones, listeners: [tls, tls6], sources: [127.0.1.0/24, 127.0.0.1/32, "::1/128"], media: srtp, nat: yes, registration: yes, authenticate: yes, rate_per_source: 5000}}
  - {{name: legacy, listeners: [udp, tcp, udp6], sources: [127.0.1.0/24, "::1/128"], media: rtp, nat: yes, registration: yes, authenticate: yes, rate_per_source: 5000}}
  - {{name: lan, listeners: [lan, lan-tcp], sources: [127.0.2.0/24], media: rtp, authenticate: no}}
  - {{name: soft, listeners: [lan], sources: [127.0.6.0/24], media: rtp, nat: yes, authenticate: no}}
waivers:
  - {{name: old-phones, zone: legacy, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test phones without TLS", expires: {expires}}}
  - {{name: old-pbx, zone: lan, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test PBX without TLS", expires: 2099-01-01}}
  - {{name: soft-pbx, zone: soft, allow: [plain-signalling, plain-media], owner: alice@example.com, reason: "test softphone as PBX", expires: 2099-01-01}}
peers:
  - {{name: soft, kind: pbx, zone: soft, listener: lan, address: "127.0.6.10:5070", trust_identity: yes}}
  - {{name: pbx, kind: pbx, zone: lan, listener: lan, address: "127.0.2.10:5070", trust_identity: yes}}
  - {{name: pair, kind: pbx, zone: lan, listener: lan, address: ["127.0.2.12:5070", "127.0.2.13:5070"]}}
  - {{name: trunk, kind: trunk, zone: lan, listener: lan, address: "127.0.2.20:5080", username: ringwall}}
roles:
  - {{name: user, outbound: yes, dial: [internal, emergency, local, national, mobile, toll-free, international, unknown], countries: all, step_up: none,
     features: [transfer-out, forward-out, anonymous], caps: {{calls: 0, attempts: 0, longest: 0s, call_money: 0, money: {{hour: 0, day: 0, month: 0}}}}}}
  - {{name: internal, outbound: no}}
routes:
  - {{name: to-trunk, from: {{zone: phones}}, pattern: "+X.", to: {{peers: [trunk]}}}}
  - {{name: to-trunk2, from: {{zone: legacy}}, pattern: "+X.", to: {{peers: [trunk]}}}}
  - {{name: pair, pattern: "77X.", to: {{peers: [pair]}}}}
  - {{name: soft-pbx, pattern: "88X.", to: {{peers: [soft]}}}}
  - {{name: barred, pattern: "0900.", to: refuse}}
  - {{name: phones-pbx, from: {{zone: phones}}, pattern: "X.", to: {{peers: [pbx]}}}}
  - {{name: legacy-pbx, from: {{zone: legacy}}, pattern: "X.", to: {{peers: [pbx]}}}}
  - {{name: users, from: {{zone: phones}}, pattern: "*", to: users}}
  - {{name: users2, from: {{zone: legacy}}, pattern: "*", to: users}}
  - {{name: from-lan, from: {{zone: lan}}, pattern: "*", to: users}}
  - {{name: from-soft, from: {{zone: soft}}, pattern: "*", to: users}}
limits: {{register_min: 30s, connections_per_source: 1000, {limits}}}
"""


def wait_for(what, seconds, step=0.05):
    """Until what() is true; its last value."""
    end = time.time() + seconds
    while True:
        v = what()
        if v or time.time() > end:
            return v
        time.sleep(step)


def other_ports(config):
    """Moves an embedded default away from the ports of the gateway that runs beside it."""
    text = open(config).read()
    for a, b in ((":5061", ":5961"), (":5070", ":5970"), ("127.0.0.1:5060", "127.0.0.1:5960"), ("20000-29999", "24000-24999")):
        assert a in text, a
        text = text.replace(a, b)
    open(config, "w").write(text)


class Gateway:
    def __init__(self, config=CONFIG, engines=2, expires="2099-01-01", ports="21000-21999", limits="calls: 2000", build=None, at=None):
        self.cli = os.path.join(build, "src", "app", "cli", "ringwall") if build else CLI
        self.dir = tempfile.mkdtemp(prefix="ringwall-test-", dir=at)
        os.chmod(self.dir, 0o755)
        self.state = os.path.join(self.dir, "state")
        self.log = os.path.join(self.dir, "log")
        self.fill = dict(state=self.state, engines=engines, expires=expires, ports=ports, limits=limits)
        r = self.run("init", "--state", self.state, "--domain", DOMAIN)
        assert r.returncode == 0, r.stdout + r.stderr
        self.config = os.path.join(self.state, "ringwall.yaml")
        self.write(config)
        self.proc = None
        self.passwords = {}

    def write(self, config):
        with open(self.config, "w") as f:
            f.write(config.format(**self.fill) if "{state}" in config else config)

    def run(self, *args, stdin=None, timeout=30):
        return subprocess.run([self.cli, *args], input=stdin, capture_output=True, text=True, timeout=timeout)

    def ask(self, *args):
        """Runs a command with --json and gives the document."""
        r = self.run(*args, "--state", self.state, "--json")
        assert r.returncode == 0, f"{args}: exit {r.returncode}: {r.stdout} {r.stderr}"
        return json.loads(r.stdout)

    def user(self, name, md5=False, role="user"):
        password = "Test-" + name + "-7h3k2q9z"
        args = ["user", "add", name, "--state", self.state, "--role", role, "--password-stdin"]
        if md5:
            args += ["--md5-waiver-owner", "alice", "--md5-waiver-reason", "test phone that knows only MD5", "--md5-waiver-expires", "2099-01-01"]
        r = self.run(*args, stdin=password + "\n")
        assert r.returncode == 0, r.stdout + r.stderr
        self.passwords[name] = password
        return password

    def start(self):
        self.logf = open(self.log, "ab")
        self.proc = subprocess.Popen([self.cli, "run", "--config", self.config, "--state", self.state], stdin=subprocess.DEVNULL,
                                     stdout=self.logf, stderr=self.logf, start_new_session=True)

        def ready():
            assert self.proc.poll() is None, "gateway ended: " + open(self.log).read()
            r = self.run("status", "--state", self.state, "--json")
            return r.returncode == 0 and json.loads(r.stdout)["state"] == "running"
        assert wait_for(ready, 20), "gateway is not ready: " + open(self.log).read()
        return self

    def status(self):
        return self.ask("status")

    def reason(self, name):
        return self.status()["reasons"].get(name, 0)

    def idle(self, seconds=10):
        """Waits until no call is up; true if so."""
        return wait_for(lambda: all(not (e or {}).get("calls") for e in self.ask("calls")["engines"]), seconds)

    def cdr(self, call_id, seconds=3):
        """The call's record, as soon as the store has written it."""
        found = wait_for(lambda: self.ask("cdr", "--call-id", call_id)["cdrs"], seconds)
        assert len(found) == 1, f"{len(found)} records for {call_id}"
        return found[0]

    def reasons_seen(self):
        """RINGWALL_REASONS=FILE: what was counted here, a line each, for who asks which reasons a run of tests reaches."""
        to = os.environ.get("RINGWALL_REASONS")
        if not to or not self.proc or self.proc.poll() is not None:
            return
        r = self.run("status", "--state", self.state, "--json")
        if r.returncode == 0:
            test = os.environ.get("PYTEST_CURRENT_TEST", "?").split("::")[0].rpartition("/")[2]
            with open(to, "a") as f:
                f.writelines(f"{reason} {n} {test}\n" for reason, n in json.loads(r.stdout)["reasons"].items() if n)

    def pids(self):
        """Of those that run: one that was killed is absent until the next one answers."""
        return {p["name"].replace("engine ", "engine"): p["pid"] for p in self.status()["programs"] if p["state"] == "running"}

    def stop(self):
        self.reasons_seen()
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.proc.pid, signal.SIGKILL)
                self.proc.wait()
                raise AssertionError("gateway did not stop in 10 s: " + open(self.log).read())
            finally:
                self.logf.close()
        self.proc = None

    def close(self):
        try:
            self.stop()
        finally:
            if os.environ.get("RINGWALL_KEEP") is None:
                shutil.rmtree(self.dir, ignore_errors=True)
