"""Runs mutated files through every reader of passband, and reports crashes, hangs, stray output and wrong errors.

    python benchmarks/fuzz/fuzz.py --count 100000 --seed 2026 [--workers 1] [-o fuzz.json]
    python benchmarks/fuzz/fuzz.py --seed 2026 --only 4711      # one file again, with the traceback of what it raises

The first numbers are the sound files themselves, which must be readable. Every later number is a sound file after one
to three mutations (`fuzz_mutations.py`), which depend on the seed and the number only. Readers run in processes that
are forked from this one, after all imports. A process handles files until a file ends it. Findings are

- a crash: the process is ended by a signal;
- a hang: a file takes more than 10 s of CPU time, or 60 s of wall time;
- memory: the peak of the process rises by 1 GB;
- an error that is not passband's own, or whose message is not a sentence;
- any text on standard output or standard error, such as messages of C libraries or warnings of Python;
- a sound file that is reported as damaged: one that was not mutated, or whose mutation other readers accept without
  complaint, with the pixels of the sound file.

The exit status is 1 if there is a finding. The script runs on Linux only.
"""

import argparse
import mmap
import multiprocessing
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz_mutations import mutated
from fuzz_pictures import Seed
from fuzz_readers import DAMAGED, complaint, quiet, readers, sound_after_all
from fuzz_seeds import seeds

from passband.io.json_files import write_json
from passband.provenance import peak_memory, reset_peak_memory

CPU = torch.device("cpu")

SHARES = {
    "PNG": 14,
    "JPEG": 14,
    "WebP": 9,
    "TIFF": 16,
    "BMP": 6,
    "HEIC": 4,
    "AVIF": 4,
    "JPEG coefficients": 15,
    "COCO JSON": 8,
    "recipe": 6,
}
SHARES |= {"weights": 4, "video .mp4": 2, "video .mov": 1, "video .mkv": 2, "video .webm": 1, "video .avi": 2}
SHARES |= {"video .ts": 1, "pickle": 1, "run record": 1, "statistics": 1}
"""Relative frequency of each kind of file."""
CPU_SECONDS, WALL_SECONDS = 10, 60
GROWTH, MEMORY = 10**9, 6 * 10**9
"""Growth of the memory that is a finding, and growth of the address space that the system refuses, in bytes."""
KINDS = ("crash", "hang", "memory", "other error", "printed", "sound called damaged")
Finding = dict[str, Any]


def case(number: int, seed: int, corpus: Sequence[Seed]) -> tuple[Seed, dict[str, bytes], bool]:
    """Return the sound file of a number, its files after mutation, and whether they are unchanged."""
    if number < len(corpus):
        return corpus[number], corpus[number].files, True
    rng = np.random.default_rng([seed, number])
    kinds = list(SHARES)
    kind = kinds[int(rng.choice(len(kinds), p=np.array([*SHARES.values()]) / sum(SHARES.values())))]
    fitting = [one for one in corpus if one.kind == kind]
    chosen = fitting[int(rng.integers(len(fitting)))]
    name = next(iter(chosen.files))
    if kind == "weights" and rng.random() < 0.6:
        name = "config.json"
    others = [one.files[name] for one in fitting if name in one.files]
    data = mutated(chosen.files[name], name, rng, others)
    return chosen, {**chosen.files, name: data}, data == chosen.files[name]


def run_case(
    number: int, seed: int, corpus: Sequence[Seed], folder: Path, printed: int
) -> tuple[str, str, list[Finding]]:
    """Take one file through its readers.

    Args:
        number: number of the file.
        seed: seed of the run.
        corpus: the sound files.
        folder: folder that the file is written to.
        printed: the descriptor that standard output and error go to.

    Returns:
        The kind of the file, "read" or "refused" by the first reader, and what was found.
    """
    chosen, files, sound = case(number, seed, corpus)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    path = folder / next(iter(files))
    about = {"number": number, "kind": chosen.kind, "seed file": chosen.name}
    outcome, findings = "", []
    for name, read in readers(chosen.kind, number):
        found = {**about, "reader": name}
        error: Exception | None = None
        reset_peak_memory(CPU)
        before = peak_memory(CPU)
        try:
            read(path)
        except Exception as raised:
            error = raised
        grown = peak_memory(CPU) - before
        first, outcome = not outcome, outcome or ("refused" if error else "read")
        if grown > GROWTH:
            findings.append({**found, "what": "memory", "detail": f"{grown / 1e9:.2f} GB"})
        if text := _printed(printed):
            findings.append({**found, "what": "printed", "detail": text})
        if error is None:
            continue
        if why := complaint(chosen.kind, error):
            findings.append({**found, "what": "other error", "detail": why, "where": _where(error)})
        elif (sound and (first or DAMAGED.search(str(error)))) or sound_after_all(chosen, path, name, error):
            findings.append({**found, "what": "sound called damaged", "detail": str(error)[:300]})
        _printed(printed)  # what the independent reader said
    return chosen.kind, outcome, findings


def _printed(descriptor: int) -> str:
    """Return the text that was written to standard output and error since the last call."""
    sys.stdout.flush()
    sys.stderr.flush()
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if not size:
        return ""
    text = os.pread(descriptor, 400, 0).decode("utf-8", "replace")
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return text


def _where(error: Exception) -> str:
    """Return the innermost line of passband that an error passed through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/passband/" in frame.filename]
    return f"{frames[-1].filename.rpartition('/passband/')[2]}:{frames[-1].lineno}" if frames else ""


def work(numbers: Sequence[int], seed: int, corpus: Sequence[Seed], state: mmap.mmap, out: Connection) -> None:
    """Handle files, and send the result of each. The shared state holds the current number and its start."""
    limit = _address_space() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder, tempfile.TemporaryFile() as text:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(text.fileno(), stream.fileno())
        for number in numbers:
            state[:24] = struct.pack("qdd", number, time.monotonic(), time.process_time())
            out.send((number, *run_case(number, seed, corpus, Path(folder), text.fileno())))
    out.send(None)
    os._exit(0)  # what other libraries do at exit is not looked at


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _memory_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Worker:
    """A process that handles every n-th number. It is started again after a file that ended it."""

    def __init__(self, numbers: Sequence[int], seed: int, corpus: Sequence[Seed]):
        self.arguments, self.seed, self.corpus = numbers, seed, corpus
        self.state = mmap.mmap(-1, 24)
        self.start()

    def start(self) -> None:
        """Fork the process."""
        self.state[:24] = struct.pack("qdd", -1, time.monotonic(), 0.0)
        self.receiver, sender = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("fork")
        self.process = context.Process(
            target=work, args=(self.arguments, self.seed, self.corpus, self.state, sender), daemon=True
        )
        self.process.start()
        sender.close()

    @property
    def current(self) -> tuple[int, float, float]:
        """Return the current number, and its start in wall time and in CPU time."""
        return struct.unpack("qdd", self.state[:24])

    def hangs(self) -> bool:
        """Return whether the current file takes too long."""
        number, wall, cpu = self.current
        if number < 0:
            return False
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return used - cpu > CPU_SECONDS or time.monotonic() - wall > WALL_SECONDS

    def go_on(self) -> None:
        """Start again after the number that ended the process."""
        number = self.current[0]
        self.arguments = [other for other in self.arguments if other > number]
        self.start()


def results(workers: Sequence[Worker]) -> Iterator[tuple[int, str, str, list[Finding]]]:
    """Yield the result of each file: its number, its kind (empty if a process ended), and the rest."""
    active = list(workers)
    while active:
        ready = wait([worker.receiver for worker in active], timeout=0.5)
        for worker in [worker for worker in active if worker.receiver in ready]:
            try:
                result = worker.receiver.recv()
            except EOFError:
                worker.process.join()
                number, code = worker.current[0], worker.process.exitcode or 0
                if number < 0:
                    raise RuntimeError("a process ended before its first file") from None
                name = signal.Signals(-code).name if code < 0 else f"exit {code}"
                yield number, "", "ended", [{"number": number, "what": "crash", "detail": name}]
                worker.go_on()
                continue
            if result is None:
                active.remove(worker)
            else:
                yield result
        for worker in active:
            if not worker.receiver.poll() and worker.hangs():
                number = worker.current[0]
                worker.process.kill()
                worker.process.join()
                yield number, "", "ended", [{"number": number, "what": "hang", "detail": f"over {CPU_SECONDS} s"}]
                worker.go_on()


def again(number: int, seed: int, corpus: Sequence[Seed], output: Path | None) -> None:
    """Take one file through its readers in this process, and show what they raise."""
    chosen, files, sound = case(number, seed, corpus)
    folder = output or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    print(f"{number}: {chosen.kind} ({chosen.name}){', not mutated' if sound else ''} in {folder}", flush=True)
    for name, read in readers(chosen.kind, 0):
        print(f"--- {name}", flush=True)
        started = time.process_time()
        try:
            read(folder / next(iter(files)))
            print("read", end="")
        except Exception as error:
            if complaint(chosen.kind, error):
                traceback.print_exc()
            else:
                print(f"{type(error).__name__}: {error}", end="")
        seconds, peak = time.process_time() - started, peak_memory(CPU) / 1e9
        print(f" ({seconds:.2f} s, peak of the process {peak:.2f} GB)", flush=True)


def report(options: argparse.Namespace, counts: Counter, findings: list[Finding], seconds: float) -> None:
    kinds = sorted({kind for kind, _ in counts}, key=[*SHARES].index)
    print(f"{'':<20}{'files':>8}{'read':>8}{'refused':>8}" + "".join(f"{what.split()[0]:>9}" for what in KINDS))
    rows = {}
    for kind in [*kinds, "all"]:
        own = [key for key in counts if kind in (key[0], "all")]
        tally = Counter(finding["what"] for finding in findings if kind in (finding["kind"], "all"))
        read, refused = (sum(counts[key] for key in own if key[1] == word) for word in ("read", "refused"))
        files = sum(counts[key] for key in own)
        print(f"{kind:<20}{files:>8}{read:>8}{refused:>8}" + "".join(f"{tally[what]:>9}" for what in KINDS))
        rows[kind] = {"files": files, "read": read, "refused": refused, **{what: tally[what] for what in KINDS}}
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        about = "".join(character for character in str(finding["detail"]) if not character.isdigit())[:60]
        key = (finding["what"], finding["kind"], finding.get("where", ""), finding.get("reader", ""), about)
        groups.setdefault(key, []).append(finding)
    for (what, kind, where, reader, _), group in sorted(groups.items(), key=lambda item: -len(item[1])):
        numbers = ", ".join(str(finding["number"]) for finding in group[:4])
        print(
            f"{len(group):>5} x {what}, {kind}, {reader} {where}: {str(group[0]['detail'])[:150]!r} (--only {numbers})"
        )
    names = ("passband", "pillow", "tifffile", "av", "numpy", "torch")
    about = {
        "first": options.first,
        "count": options.count,
        "seed": options.seed,
        "seconds": seconds,
        "versions": {n: version(n) for n in names},
    }
    if options.output is not None:
        write_json(options.output, {**about, "rows": rows, "findings": findings})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="number of files, the sound ones included")
    parser.add_argument("--first", type=int, default=0, help="number to begin at")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--workers", type=int, default=1, help="number of processes")
    parser.add_argument("--kind", help="kind of the files, such as PNG or video")
    parser.add_argument("--only", type=int, help="number of a file to run again, with tracebacks")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results; with --only, folder for the file")
    options = parser.parse_args()
    quiet()
    corpus = seeds()
    if options.only is not None:
        again(options.only, options.seed, corpus, options.output)
        return
    kinds = (
        {
            number: case(number, options.seed, corpus)[0].kind
            for number in range(options.first, options.first + options.count)
        }
        if options.kind
        else {}
    )
    numbers = [
        n
        for n in range(options.first, options.first + options.count)
        if not options.kind or kinds[n].startswith(options.kind)
    ]
    workers = [Worker(numbers[first :: options.workers], options.seed, corpus) for first in range(options.workers)]
    counts, findings, started = Counter(), [], time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for done, (number, kind, outcome, found) in enumerate(results(workers), 1):
            kind = kind or case(number, options.seed, corpus)[0].kind
            counts[kind, outcome] += 1
            findings += [{"kind": kind, **finding} for finding in found]
            for finding in found:
                about = f"{finding.get('reader', '')}: {finding['detail'][:200]!r} {finding.get('where', '')}"
                print(f"{number}, {kind}: {finding['what']}, {about}", file=sys.stderr)
            if done % 1000 == 0:
                print(f"{done} files, {len(findings)} findings, {time.monotonic() - started:.0f} s", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped: the table is of what is done", file=sys.stderr)
    report(options, counts, findings, time.monotonic() - started)
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
