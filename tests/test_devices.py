"""The library creates no tensor on the CPU beside an input on another device."""

import subprocess
import sys
from pathlib import Path


def test_whatever_takes_tensors_computes_on_the_device_of_its_input():
    script = Path(__file__).with_name("second_device.py")  # in a process of its own, because it registers a device
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stdout + done.stderr
