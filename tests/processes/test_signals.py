import os
import signal
import threading

import pytest

from passband.processes import StopSignals
from passband.processes.signals import STOPPING


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_is_remembered_within_the_block_and_handled_as_before_after_it(number):
    before = signal.getsignal(number)
    with StopSignals() as signals:
        assert signals.received == 0
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert signals.received == number
    assert signal.getsignal(number) == before


def test_in_another_thread_nothing_changes():
    before, inside = signal.getsignal(signal.SIGTERM), []

    def work():
        with StopSignals():
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]
