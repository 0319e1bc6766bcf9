"""A real Kamailio as PBX or registrar, with a configuration of this folder."""
import os, shutil, signal, subprocess
import pytest
from gateway import wait_for

needs_kamailio = pytest.mark.skipif(not shutil.which("kamailio"), reason="kamailio is not installed")


class Kamailio:
    """answers: true as soon as it does."""

    def __init__(self, folder, config, answers):
        self.dir, self.config, self.answers, self.p = str(folder), os.path.join(os.path.dirname(__file__), config), answers, None

    def start(self):
        path = os.path.join(self.dir, "log")
        with open(path, "ab") as log:
            self.p = subprocess.Popen(["kamailio", "-DD", "-E", "-f", self.config, "-P", os.path.join(self.dir, "pid"), "-Y", self.dir, "-m", "64", "-M", "8"],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        assert wait_for(self.answers, 10), open(path).read()[-2000:]
        return self

    def stop(self):
        os.killpg(self.p.pid, signal.SIGTERM)
        self.p.wait(10)
