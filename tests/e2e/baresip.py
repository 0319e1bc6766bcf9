"""baresip as a phone: a tone goes out, what comes in is dumped, and the tone in it is told by its frequency."""
import glob, math, os, shutil, signal, struct, subprocess, tempfile, time, wave


def tone_file(path, hz, seconds=30, rate=8000):
    with wave.open(path, "wb") as w:
        w.setnchannels(1), w.setsampwidth(2), w.setframerate(rate)
        w.writeframes(b"".join(struct.pack("<h", int(12000 * math.sin(2 * math.pi * hz * i / rate))) for i in range(rate * seconds)))


def power(samples, hz, rate=8000):
    """Goertzel: share of the signal's energy at hz."""
    c = 2 * math.cos(2 * math.pi * hz / rate)
    a = b = 0.0
    for x in samples:
        a, b = x + c * a - b, a
    e = sum(x * x for x in samples) or 1.0
    return (a * a + b * b - c * a * b) * 2 / (len(samples) * e)


class Baresip:
    def __init__(self, ip, account, hz, sip_port=0, rtp=31000, cafile=None, auto=True):
        self.dir = tempfile.mkdtemp(prefix="ringwall-baresip-")
        tone_file(os.path.join(self.dir, "tx.wav"), hz)
        with open(os.path.join(self.dir, "config"), "w") as f:
            f.write(f"""poll_method epoll
sip_listen {'[' + ip + ']' if ':' in ip else ip}:{sip_port}
{'sip_cafile ' + cafile if cafile else ''}
call_local_timeout 20
audio_player aubridge,x{os.path.basename(self.dir)}
audio_source aufile,{self.dir}/tx.wav
audio_alert none,
ausrc_srate 8000
auplay_srate 8000
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
rtp_ports {rtp}-{rtp + 40}
rtp_timeout 0
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module_tmp account.so
module_app menu.so
snd_path {self.dir}
net_interface {ip}
""")
        with open(os.path.join(self.dir, "accounts"), "w") as f:
            f.write(account + ";audio_codecs=PCMA" + (";answermode=auto" if auto else "") + "\n")
        self.proc = None

    def start(self, dial=None, seconds=12):
        self.log = open(os.path.join(self.dir, "log"), "wb")
        args = ["baresip", "-f", self.dir, "-t", str(seconds)] + (["-e", f"/dial {dial}"] if dial else [])
        self.proc = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        return self

    def text(self):
        return open(os.path.join(self.dir, "log"), "rb").read().decode("utf-8", "replace")

    def saw(self, word, seconds=6):
        end = time.time() + seconds
        while time.time() < end:
            if word in self.text():
                return True
            time.sleep(0.1)
        return False

    def heard(self):
        """Samples of the last second but a half of what was received."""
        files = sorted(glob.glob(os.path.join(self.dir, "dump*dec.wav")))
        assert files, "nothing was recorded: " + self.text()[-1500:]
        with wave.open(files[-1]) as w:
            raw = w.readframes(w.getnframes())
        s = struct.unpack("<%dh" % (len(raw) // 2), raw)
        assert len(s) > 8000, f"only {len(s)} samples were received"
        return s[-12000:-4000]

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGINT)
            try:
                self.proc.wait(5)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        if self.proc:
            self.log.close()
        self.proc = None

    def close(self):
        self.stop()
        if os.environ.get("RINGWALL_KEEP") is None:
            shutil.rmtree(self.dir, ignore_errors=True)


def hears(phone, hz, other):
    s = phone.heard()
    at, not_at = power(s, hz), power(s, other)
    return at > 0.5 and not_at < 0.1, (at, not_at)
