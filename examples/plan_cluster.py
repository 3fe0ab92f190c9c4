"""Plans the restoration of many images: time, machines and money, and the stage that saturates first.

    python examples/plan_cluster.py STAGES IMAGES MEGAPIXELS PROCESSES BANDWIDTH CORES PRICE

STAGES is the file of `python benchmarks/scale/stages.py` on your machine. BANDWIDTH of the store is in bytes per
second. CORES is the number of processes of a machine, and PRICE that of a machine for an hour, in your currency.

Eight images for each process are simulated: one command lists and records them one after the other, all processes
share the bandwidth of the store, and each process decodes, restores and encodes one image at a time.
"""

import heapq
import json
import math
import sys
from pathlib import Path


def main(
    figures: dict[str, float], images: float, processes: int, bandwidth: float, price: float, cores: int
) -> dict[str, float | str]:
    """Simulate a run.

    Args:
        figures: seconds of `list`, `record` and `compute`, and `read_bytes` and `written_bytes`, of one image.
        images: number of images.
        processes: number of processes that restore.
        bandwidth: bytes that the store reads or writes in a second, all processes together.
        price: price of a machine for an hour.
        cores: number of processes on a machine.

    Returns:
        `seconds`, `machines`, `money`, and `first`: the stage that limits the run, `processes`, `store` or `command`.
    """
    command = figures["list"] + figures["record"]
    moved = [figures["read_bytes"] / bandwidth, figures["written_bytes"] / bandwidth]
    limits = {"processes": figures["compute"] / processes, "store": sum(moved), "command": command}
    count = 8 * processes
    workers = [0.0] * processes
    command_free = store_free = end = half = 0.0
    for number in range(count):
        now = heapq.heappop(workers)
        command_free = max(now, command_free) + command
        # the store has answered the requests that it got before
        store_free = max(command_free, store_free) + sum(moved)
        done = store_free + figures["compute"]
        heapq.heappush(workers, done)
        end = max(end, done)
        if number == count // 2 - 1:
            half = end
    rate = count // 2 / (end - half)  # without the first half, in which processes start
    seconds = images / rate
    machines = math.ceil(processes / cores)
    money = machines * price * seconds / 3600
    return {"seconds": seconds, "machines": machines, "money": money, "first": max(limits, key=lambda one: limits[one])}


def of_stages(stages: dict[str, dict[str, float]], megapixels: float) -> dict[str, float]:
    """Return the figures of one image.

    Args:
        stages: stages as `benchmarks/scale/stages.py` writes them.
        megapixels: size of the image.
    """
    seconds = {name: row["image"] + row["megapixel"] * megapixels for name, row in stages.items()}
    return {
        "list": seconds["list"],
        "record": seconds["record"],
        "compute": sum(seconds[name] for name in ("read", "decode", "restore", "encode", "write")),
        "read_bytes": stages["read"]["bytes"] * megapixels,
        "written_bytes": stages["write"]["bytes"] * megapixels,
    }


if __name__ == "__main__":
    if len(sys.argv) != 8:
        raise SystemExit("python examples/plan_cluster.py STAGES IMAGES MEGAPIXELS PROCESSES BANDWIDTH CORES PRICE")
    path, images, megapixels, processes, bandwidth, cores, price = sys.argv[1:]
    figures = of_stages(json.loads(Path(path).read_text(encoding="utf-8"))["stages"], float(megapixels))
    print("| processes | machines | days | money | saturates first |")
    print("|---|---|---|---|---|")
    for factor in (1, 10, 100):
        wanted = int(processes) * factor
        result = main(figures, float(images), wanted, float(bandwidth), float(price), int(cores))
        days, money = float(result["seconds"]) / 86400, float(result["money"])
        print(f"| {wanted} | {result['machines']} | {days:.1f} | {money:.0f} | {result['first']} |")
