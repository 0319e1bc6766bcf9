"""A real name server (unbound) on loopback: local data, signed zones with an authority of their own."""
import os, shutil, signal, subprocess, tempfile, time
import pytest

SERVER = "127.0.70.53"


def need(*programs):
    for p in programs:
        if not (shutil.which(p) or os.path.exists("/usr/sbin/" + p)):
            pytest.skip(f"{p} is not installed")


class Zone:
    """records: lines of a zone file with whole names. signed: {zone name: path of a signed zone file}."""
    def __init__(self, records=(), port=5353, signed=None):
        need("unbound")
        self.dir = tempfile.mkdtemp(prefix="ringwall-zone-")
        os.chmod(self.dir, 0o755)
        self.port, self.records, self.signed, self.proc = port, list(records), signed or {}, None

    def write(self):
        lines = ["server:", f"  interface: {SERVER}@{self.port}", "  do-ip6: no", '  username: ""', '  chroot: ""', f'  directory: "{self.dir}"',
                 '  pidfile: ""', "  use-syslog: no", f'  logfile: "{self.dir}/log"', "  access-control: 127.0.0.0/8 allow", "  verbosity: 1",
                 '  module-config: "iterator"', "  do-not-query-localhost: no", "  cache-max-ttl: 0", "  cache-max-negative-ttl: 0",
                 '  local-zone: "test." static',
                 "  local-data: 'test. 60 IN SOA ns.test. hostmaster.test. 1 60 60 60 5'"]
        lines += [f"  local-data: '{r}'" for r in self.records]
        lines += ["remote-control:", "  control-enable: no"]
        for name, path in self.signed.items():
            lines += ["auth-zone:", f'  name: "{name}"', f'  zonefile: "{path}"', "  for-downstream: yes", "  for-upstream: no", "  fallback-enabled: no"]
        with open(os.path.join(self.dir, "conf"), "w") as f:
            f.write("\n".join(lines) + "\n")

    def start(self):
        self.write()
        self.proc = subprocess.Popen([shutil.which("unbound") or "/usr/sbin/unbound", "-d", "-c", os.path.join(self.dir, "conf")],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        assert self.proc.poll() is None, self.log()
        return self

    def log(self):
        path = os.path.join(self.dir, "log")
        return open(path).read() if os.path.exists(path) else "no log"

    def stop(self):
        if self.proc:
            self.proc.kill()
            self.proc.wait(5)
        self.proc = None

    def change(self, records):
        self.stop()
        self.records = list(records)
        self.start()

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


def run(*args, cwd):
    r = subprocess.run(args, cwd=cwd, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, f"{args}: {r.stdout} {r.stderr}"
    return r.stdout.strip()


def sign(folder, zone, records):
    """A zone signed by its own fresh key: (signed file, trust anchor file)."""
    need("dnssec-keygen", "dnssec-signzone")
    folder = str(folder)
    ksk = run("dnssec-keygen", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K", folder, zone, cwd=folder)
    zsk = run("dnssec-keygen", "-a", "ECDSAP256SHA256", "-K", folder, zone, cwd=folder)
    plain = os.path.join(folder, zone + ".zone")
    with open(plain, "w") as f:
        f.write(f"{zone}. 60 IN SOA ns.{zone}. hostmaster.{zone}. 1 60 60 60 5\n{zone}. 60 IN NS ns.{zone}.\nns.{zone}. 60 IN A {SERVER}\n")
        f.write("\n".join(records) + "\n")
        for k in (ksk, zsk):
            f.write(open(os.path.join(folder, k + ".key")).read())
    signed = plain + ".signed"
    run("dnssec-signzone", "-o", zone + ".", "-K", folder, "-k", ksk, "-f", signed, plain, zsk, cwd=folder)
    anchor = os.path.join(folder, zone + ".anchor")
    with open(anchor, "w") as f:
        f.write("; trust anchor of a test\n" + "".join(x for x in open(os.path.join(folder, ksk + ".key")) if not x.startswith(";")))
    return signed, anchor
