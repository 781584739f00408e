"""What was measured, as one document of JSON and as Markdown."""

import datetime
import math
import os
import platform
import re
import statistics
import subprocess

OURS = "semroute"

# What decides which kernel a contestant can run.
FLAGS = ["avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "i8mm"]


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def usable_cores():
    """The physical cores that this process may run on, within what its container allows."""
    try:
        processors = os.sched_getaffinity(0)
    except AttributeError:
        return os.cpu_count() or 1
    folder = "/sys/devices/system/cpu/cpu{}/topology/{}"
    cores = {read(folder.format(number, "thread_siblings_list")) or str(number) for number in processors}
    count = len(cores)
    quota = read("/sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and quota[0] != "max":
        count = min(count, max(int(quota[0]) // int(quota[1]), 1))
    return count


def describe_machine(repository):
    about = read("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.*)$", about, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", about, re.MULTILINE)
    known = set(flags.group(1).split()) if flags else set()
    git = ["git", "-C", str(repository), "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True).stdout.strip() or None
    except OSError:
        commit = None
    return {
        "cpu": model.group(1) if model else platform.processor(),
        "flags": [flag for flag in FLAGS if flag in known],
        "cores": usable_cores(),
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_before": os.getloadavg()[0],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "commit": commit,
    }


def percentile(values, share):
    """The least value that at least this share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def ratios(theirs, ours):
    """Theirs to ours, round by round: within a round the machine is the same for both."""
    return [statistics.median(theirs[number]) / statistics.median(ours[number]) for number in theirs if number in ours]


def summarise_times(rounds, ours):
    every = [time / 1e6 for times in rounds.values() for time in times]
    against = ratios(rounds, ours) if ours else []
    quartiles = statistics.quantiles(against, n=4) if len(against) > 1 else against * 3
    return {
        "median_ms": statistics.median(every),
        "p99_ms": percentile(every, 0.99),
        "times": len(every),
        "rounds": len(rounds),
        "ratio_to_ours": statistics.median(against) if against else None,
        "ratio_quartiles": [quartiles[0], quartiles[2]] if against else None,
    }


def summarise_run(run):
    ours = run.nanoseconds.get(OURS, {})
    return {
        "threads": run.threads,
        "contestants": {
            name: {
                **greeting,
                "failed": run.failed.get(name),
                "resident_mb": (run.resident_bytes.get(name) or 0) / 1e6 or None,
                "workloads": {
                    workload: summarise_times(rounds, ours.get(workload))
                    for workload, rounds in run.nanoseconds[name].items()
                },
            }
            for name, greeting in run.greetings.items()
        },
        "failed": run.failed,
    }


def summarise(machine, ready, runs, arguments):
    return {
        "machine": {**machine, "load_after": os.getloadavg()[0]},
        "settings": {"rounds": arguments.rounds, "kernel": arguments.kernel},
        "packages": ready.packages,
        "skipped": ready.skipped,
        "workloads": [workload["name"] for workload in ready.texts["workloads"]],
        "cosines": runs[0].cosines,
        "runs": [summarise_run(run) for run in runs],
    }


def milliseconds(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def cell(times):
    if times is None:
        return "–"
    text = f"{milliseconds(times['median_ms'])} / {milliseconds(times['p99_ms'])}"
    return text if times["ratio_to_ours"] is None else f"{text} ({times['ratio_to_ours']:.2f}×)"


def table(run, workloads, cosines):
    head = ["", *workloads, "cosine to f32", "memory MB"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, contestant in run["contestants"].items():
        near = cosines.get(name)
        lines.append(
            [
                f"{name} ({contestant['kernel']}, {contestant['version']})",
                *[cell(contestant["workloads"].get(workload)) for workload in workloads],
                f"{near['mean']:.4f} / {near['min']:.4f}" if near else "–",
                f"{contestant['resident_mb']:.0f}" if contestant["resident_mb"] else "–",
            ]
        )
    return ["| " + " | ".join(line) + " |" for line in lines]


def markdown(result):
    machine, settings = result["machine"], result["settings"]
    compared = max((it["texts"] for it in result["cosines"].values()), default=0)
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {' '.join(machine['flags'])}; {machine['system']}; "
        f"Python {machine['python']}; {machine['date']}; commit {machine['commit'] or 'unknown'}; "
        f"load {machine['load_before']:.1f} before and {machine['load_after']:.1f} after.",
        "",
        "Milliseconds a request, tokenising included: median / p99 (median over the rounds of the ratio to ours). "
        f"Cosine: mean / least over {compared} texts. Rounds: {settings['rounds']}.",
    ]
    for run in result["runs"]:
        threads = f"{run['threads']} thread{'' if run['threads'] == 1 else 's'}"
        lines += ["", f"**{threads}**", "", *table(run, result["workloads"], result["cosines"])]
        lines += ["", *[f"Left out at {threads}: {name}: {reason}" for name, reason in run["failed"].items()]]
    lines += ["", *[f"Skipped: {name}: {reason}" for name, reason in result["skipped"].items()]]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
