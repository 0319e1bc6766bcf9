"""Real phones as the matrix drives them: each offers some of register, call, hold, resume, transfer, cancel, end."""
import itertools, json, os, shutil, signal, socket, subprocess, tempfile, time
from lab import IP
from script import Script
from baresip import tone_file
from gateway import wait_for


class Phone:
    """One running phone in a folder of its own. transport: udp tcp tls; srtp: demands SDES."""
    name = ""

    def __init__(self, gw, user, transport, srtp):
        self.gw, self.user, self.password, self.transport, self.srtp = gw, user, gw.passwords[user], transport, srtp
        self.dir = tempfile.mkdtemp(prefix="ringwall-interop-")
        self.proc = None

    def spawn(self, argv, **env):
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.proc = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log, cwd=self.dir, env=dict(os.environ, HOME=self.dir, **env), start_new_session=True)

    def text(self):
        return open(os.path.join(self.dir, "log"), "rb").read().decode("utf-8", "replace")

    def registered(self, seconds=8):
        return wait_for(lambda: any(b["aor"].startswith(self.user + "@") for b in self.gw.ask("bindings")["bindings"]), seconds)

    def close(self):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(4)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        if self.proc:
            self.proc.stdin.close()
            self.log.close()
        if os.environ.get("RINGWALL_KEEP") is None:
            shutil.rmtree(self.dir, ignore_errors=True)


class Baresip(Phone):
    """Driven by the JSON commands of its ctrl_tcp module."""
    name = "baresip"
    next_port = 4500

    def start(self):
        Baresip.next_port += 1
        self.ctrl = Baresip.next_port
        rtp = 32000 + (self.ctrl - 4500) * 40
        port = 5061 if self.transport == "tls" else 5060
        tone_file(os.path.join(self.dir, "tx.wav"), 440, 100)
        with open(os.path.join(self.dir, "config"), "w") as f:
            f.write(f"""poll_method epoll
sip_listen 127.0.1.30:0
sip_cafile {self.gw.state}/ca.pem
audio_player aubridge,x{self.ctrl}
audio_source aufile,{self.dir}/tx.wav
ausrc_srate 8000
auplay_srate 8000
audio_alert none,
rtp_ports {rtp}-{rtp + 38}
rtp_timeout 0
ctrl_tcp_listen 127.0.0.1:{self.ctrl}
cons_listen 127.0.0.1:{self.ctrl + 1000}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module srtp.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
module_app cons.so
net_interface 127.0.1.30
""")
        with open(os.path.join(self.dir, "accounts"), "w") as f:
            f.write(f'<sip:{self.user}@example.com;transport={self.transport}>;auth_user={self.user};auth_pass={self.password};'
                    f'outbound="sip:{IP}:{port};transport={self.transport}";regint=60;audio_codecs=PCMA' + (";mediaenc=srtp-mand" if self.srtp else "") + "\n")
        self.spawn(["baresip", "-f", self.dir])
        assert wait_for(lambda: "baresip is ready" in self.text(), 6), self.text()
        return self

    def command(self, name, params=""):
        body = json.dumps({"command": name, "params": params, "token": "t"})
        with socket.create_connection(("127.0.0.1", self.ctrl), 3) as s:
            s.sendall(f"{len(body)}:{body},".encode())
            time.sleep(0.2)

    def call(self, number):
        self.command("dial", f"sip:{number}@example.com")

    def key(self, k):
        """Holding has no name among the commands of this version, only a key of the console."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(k, ("127.0.0.1", self.ctrl + 1000))

    def hold(self):
        self.key(b"x")

    def resume(self):
        self.key(b"X")

    def transfer(self, number):
        self.command("transfer", f"sip:{number}@example.com")

    def end(self):
        self.command("hangup")

    cancel = end


class Linphone(Phone):
    """linphonec on a pipe; sound from and to files."""
    name = "linphone"
    next_rtp = 36000

    def start(self):
        Linphone.next_rtp += 10
        port = 5061 if self.transport == "tls" else 5060
        os.makedirs(os.path.join(self.dir, ".local", "share", "linphone"))
        os.makedirs(os.path.join(self.dir, ".config", "linphone"))
        rc = os.path.join(self.dir, "rc")
        with open(rc, "w") as f:
            f.write(f"""[sip]
sip_port=-1
sip_tcp_port=-1
sip_tls_port=-1
guess_hostname=0
default_proxy=0
media_encryption={"srtp" if self.srtp else "none"}
media_encryption_mandatory={1 if self.srtp else 0}
root_ca={self.gw.state}/ca.pem
verify_server_cn=0
use_ipv6=0
[rtp]
audio_rtp_port={Linphone.next_rtp}
[video]
enabled=0
capture=0
display=0
[auth_info_0]
username={self.user}
passwd={self.password}
realm=example.com
domain=example.com
algorithm=MD5
[proxy_0]
reg_proxy=<sip:{IP}:{port};transport={self.transport}>
reg_route=<sip:{IP}:{port};transport={self.transport};lr>
reg_identity=sip:{self.user}@example.com
reg_expires=600
reg_sendregister=1
publish=0
""")
        self.spawn(["linphonec", "-c", rc, "-d", "6", "-l", os.path.join(self.dir, "core.log")])
        time.sleep(1.5)
        self.say("soundcard use files")
        return self

    def say(self, line):
        self.proc.stdin.write((line + "\n").encode())
        self.proc.stdin.flush()
        time.sleep(0.3)

    def call(self, number):
        self.say(f"call sip:{number}@example.com")

    def hold(self):
        self.say("pause")

    def resume(self):
        self.say("resume 1")

    def transfer(self, number):
        self.say(f"transfer sip:{number}@example.com")

    def end(self):
        self.say("terminate")

    cancel = end

    def close(self):
        if self.proc and self.proc.poll() is None:
            try:
                self.say("quit")
                self.proc.wait(4)
            except (OSError, subprocess.TimeoutExpired):
                pass
        super().close()


class Sipsak(Phone):
    name = "sipsak"

    def start(self):
        # It knows no outbound proxy without a resolver, so the address stands for the domain.
        port = 5061 if self.transport == "tls" else 5060
        ca = ["--tls-ca-cert=" + os.path.join(self.gw.state, "ca.pem")] if self.transport == "tls" else []
        self.result = subprocess.run(["sipsak", *ca, "-U", "-i", "-E", self.transport, "-s", f"sip:{self.user}@{IP}:{port}", "-u", self.user, "-a", self.password, "-x", "60", "-vv",
                                      "-H", "127.0.1.31"], capture_output=True, text=True, timeout=15)
        return self

    def text(self):
        return self.result.stdout + self.result.stderr


class Sipp(Phone):
    """One SIPp run a deed: the scenario asserts what the other side says; exit code 0 is its word that all went well."""
    name = "SIPp"
    proxy, ip, ports, auth = (IP, 5060), "127.0.1.32", itertools.count(6002, 2), True

    def start(self):
        self.port = next(Sipp.ports)
        return self

    def script(self, **k):
        return Script(srtp=self.srtp, **k)

    def perform(self, script, number="0", seconds=12, wait=True):
        users = os.path.join(self.dir, "users.csv")
        with open(users, "w") as f:
            f.write(f"SEQUENTIAL\n{self.user};[authentication username={self.user} password={self.password}];{number}\n")
        self.spawn(["sipp", f"{self.proxy[0]}:{self.proxy[1]}", "-sf", script.write(os.path.join(self.dir, "script.xml")), "-inf", users, "-i", self.ip, "-mi", self.ip, "-p", str(self.port),
                    "-t", "t1" if self.transport == "tcp" else "u1", "-auth_uri", "example.com", "-m", "1", "-nostdin", "-timeout", str(seconds), "-timeout_error", "-trace_err", "-error_file",
                    os.path.join(self.dir, "errors")])
        return self.done(seconds + 4) if wait else None

    def done(self, seconds):
        try:
            code = self.proc.wait(seconds)
        except subprocess.TimeoutExpired:
            code = -1
        errors = os.path.join(self.dir, "errors")
        text = open(errors).read() if os.path.exists(errors) else ""
        self.why = "" if code == 0 else (text[text.find("Aborting"):][:300] if "Aborting" in text else f"exit code {code}, {self.text()[-300:]}")
        return code == 0


class Front(Sipp):
    """The same phone behind a Kamailio proxy in front of Ringwall; the transport is the proxy's."""
    name = "Kamailio in front"
    doors = {"udp": 5060, "tcp": 5062, "tls": 5064}
    proxy_ip, ip = "127.0.1.40", "127.0.1.33"

    def start(self):
        super().start()
        self.proxy, self.via = (self.proxy_ip, self.doors[self.transport]), self.transport
        self.transport = "udp"
        return self


class Behind(Front):
    """A desk phone that calls through a Kamailio PBX behind Ringwall; nobody asks it for a password."""
    name = "Kamailio behind"
    proxy_ip, ip, auth = "127.0.2.14", "127.0.2.33", False
