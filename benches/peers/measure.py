"""Asks the contestants in turn, many rounds over, so that a change of the machine's speed hits them alike.

A round asks every contestant the same texts, one after the other, and no two at once. The order rotates
from round to round, so that nobody always runs after the same neighbour. Whoever is not asked is
stopped by a signal: threads of ONNX Runtime go on spinning for tens of milliseconds after an answer,
at the cost of whoever comes next.
"""

import base64
import contextlib
import json
import math
import os
import signal
import statistics
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass, field

# How often a request is repeated, by the workload's name. The first repetition of each request is not
# counted: it pays for the neighbour that ran before and emptied the caches.
REPEATS = {"8 tokens": 8, "32 tokens": 5, "128 tokens": 3, "256 tokens": 2}
REPEATS_OTHERWISE = 1

# A batch takes as long as many texts, so it is asked in one round of four.
BATCH_ROUNDS = 4

# Opening a model includes the imports of its library, which take half a minute from a cold disk.
START_SECONDS_MAX = 180
ANSWER_SECONDS_MAX = 60


class Failed(Exception):
    """Why a contestant cannot go on."""


@dataclass
class Settings:
    """How often to ask, and of how many texts the vectors are compared after it."""

    rounds: int
    compared: int


@dataclass
class Run:
    """What one number of threads gave: for each contestant and workload a list of times for each round."""

    threads: int
    greetings: dict = field(default_factory=dict)
    failed: dict = field(default_factory=dict)
    nanoseconds: dict = field(default_factory=dict)
    cosines: dict = field(default_factory=dict)
    resident_bytes: dict = field(default_factory=dict)


class Worker:
    """A contestant's process."""

    def __init__(self, command, threads):
        count = str(threads)
        names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"]
        environment = {**os.environ, **dict.fromkeys(names, count)}
        environment["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
        # Nothing that is measured may fetch anything.
        environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
        command = [part.replace("{threads}", count) for part in command]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=environment,
            )
        except OSError as error:
            raise Failed(str(error)) from None
        self.complaints = []
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()
        self.greeting = self.read(START_SECONDS_MAX)
        self.process.send_signal(signal.SIGSTOP)

    def listen(self):
        for line in self.process.stderr:
            if line.strip():
                self.complaints = [*self.complaints[-20:], line.strip()]

    def read(self, seconds):
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        try:
            return json.loads(line)
        except ValueError:
            self.end()
            raise Failed(f"its process ended or spoke nonsense: {self.last_words() or line.strip()}") from None

    def ask(self, texts, repeat, vectors=False):
        request = json.dumps({"texts": texts, "repeat": repeat, "vectors": vectors}, ensure_ascii=False)
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
        except OSError:
            raise Failed(f"its process has ended: {self.last_words()}") from None
        answer = self.read(ANSWER_SECONDS_MAX)
        self.process.send_signal(signal.SIGSTOP)
        if len(answer.get("nanoseconds") or []) != repeat:
            raise Failed(f"it answered {json.dumps(answer)[:200]}")
        return answer

    def last_words(self):
        """The last line of its complaints that names an error, or the last of all."""
        errors = [line for line in self.complaints if "error" in line.lower()]
        return (errors or self.complaints or [""])[-1]

    def resident_bytes(self):
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
                return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))
        except (OSError, StopIteration):
            return None

    def close(self):
        """Lets it end by itself, as it does when nothing more can be asked."""
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.end()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.listener.join(1)
        for pipe in [self.process.stdin, self.process.stdout, self.process.stderr]:
            # What was not sent yet cannot be sent any more.
            with contextlib.suppress(OSError):
                pipe.close()


def unpack(text):
    raw = base64.b64decode(text)
    return struct.unpack(f"<{len(raw) // 2}e", raw)


def cosine(one, other):
    product = math.fsum(a * b for a, b in zip(one, other, strict=True))
    return product / math.sqrt(math.fsum(a * a for a in one)) / math.sqrt(math.fsum(b * b for b in other))


class Course:
    """All the workers of one number of threads; who fails leaves, and the others go on."""

    def __init__(self, ready, threads, settings):
        self.run = Run(threads)
        self.ready = ready
        self.settings = settings
        self.workers = {}
        for name, command in ready.commands.items():
            try:
                self.workers[name] = Worker(command, threads)
                self.run.greetings[name] = self.workers[name].greeting
                self.run.nanoseconds[name] = {}
            except Failed as reason:
                self.leave(name, reason)

    def leave(self, name, reason):
        self.run.failed[name] = str(reason)
        if name in self.workers:
            self.workers[name].end()
        print(f"{name} is left out (threads: {self.run.threads}): {reason}", file=sys.stderr, flush=True)
        self.workers.pop(name, None)

    def ask(self, name, texts, repeat, vectors=False):
        """The answer, or nothing where the contestant failed."""
        try:
            return self.workers[name].ask(texts, repeat, vectors)
        except Failed as reason:
            self.leave(name, reason)
            return None

    def warm_up(self):
        for name in list(self.workers):
            for workload in self.ready.texts["workloads"]:
                if name in self.workers:
                    self.ask(name, workload["requests"][0], 2)

    def round(self, number):
        for workload in self.ready.texts["workloads"]:
            requests = workload["requests"]
            if len(requests[0]) > 1:
                if number % BATCH_ROUNDS:
                    continue
                texts = requests[number // BATCH_ROUNDS % len(requests)]
            else:
                texts = requests[number % len(requests)]
            repeat = REPEATS.get(workload["name"], REPEATS_OTHERWISE)
            names = list(self.workers)
            turn = number % max(len(names), 1)
            for name in names[turn:] + names[:turn]:
                answer = self.ask(name, texts, repeat + 1)
                if answer:
                    rounds = self.run.nanoseconds[name].setdefault(workload["name"], {})
                    rounds[number] = answer["nanoseconds"][1:]

    def compare(self):
        """The cosines to f32, a text at a time: dynamic quantisation makes a vector depend on its batch."""
        expected = self.ready.reference
        texts = [text for text in self.ready.texts["compared"] if text in expected][: self.settings.compared]
        for name in list(self.workers):
            answers = [self.ask(name, [text], 1, vectors=True) for text in texts if name in self.workers]
            if name in self.workers and answers:
                found = [
                    cosine(answer["vectors"][0], unpack(expected[text]))
                    for text, answer in zip(texts, answers, strict=True)
                ]
                self.run.cosines[name] = {"texts": len(found), "mean": statistics.fmean(found), "min": min(found)}

    def close(self):
        for name, worker in self.workers.items():
            self.run.resident_bytes[name] = worker.resident_bytes()
            worker.close()


def measure(ready, threads, settings):
    """Times everyone at one number of threads."""
    course = Course(ready, threads, settings)
    try:
        course.warm_up()
        for number in range(settings.rounds):
            course.round(number)
            done = f"{number + 1} of {settings.rounds}"
            print(f"\rthreads: {threads}, rounds: {done}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        course.compare()
    finally:
        course.close()
    return course.run
