"""The binary under test, started on a free port."""

import json
import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path


class Server:
    """A running `semroute serve`; without a configuration it has its simulated models."""

    def __init__(self, binary, config=None, environment=None):
        self.folder = tempfile.TemporaryDirectory()
        command = [binary, "serve", "--listen", "127.0.0.1:0"]
        if config is not None:
            command += ["--config", written(self.folder.name, config)]
        self.records = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            command, stdout=self.records, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
        )
        said = []
        for line in self.process.stderr:
            said.append(line)
            found = re.search(r"listens on (http://\S+)", line)
            if found:
                self.url = found.group(1)
                break
        else:
            raise SystemExit("the server did not start:\n" + "".join(said))
        # Its later lines must be read, or it would wait for a reader some day.
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()

    def stop(self):
        """Ends it as a supervisor would, and returns its records."""
        self.process.terminate()
        code = self.process.wait(timeout=30)
        assert code == 0, f"exit code {code}"
        self.records.seek(0)
        return [json.loads(line) for line in self.records]


def accepts(binary, config, environment=None):
    """Whether the binary can run a configuration."""
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "check", written(folder, config)]
        return subprocess.run(command, capture_output=True, env={**os.environ, **(environment or {})}).returncode == 0


def written(folder, config):
    path = Path(folder, "semroute.yaml")
    path.write_text(config)
    return str(path)
