"""What the scripted upstream answers, in no wire format in particular.

The last thing that a person says in a conversation is a command; every dialect reads it from its own request
and writes the scene that follows from it in its own words.
"""

import hashlib
import json
from dataclasses import dataclass, field

# The models that there are: what a configuration calls by this name, and what clients that ask the upstream
# directly call it.
MODELS = ("mock-model", "assistant")

# Pieces of a slow answer, and the seconds between them: longer together than any client waits.
SLOW_PIECES = 400
SLOW_PAUSE_S = 0.05


@dataclass
class Call:
    """A call of a tool."""

    id: str
    name: str
    arguments: str


@dataclass
class Asked:
    """What a dialect found in a request."""

    body: bytes
    model: str
    said: str
    stream: bool
    images: list = field(default_factory=list)
    tools: list = field(default_factory=list)
    tool_result: str | None = None
    schema: dict | None = None
    n: int = 1
    logprobs: bool = False
    usage_wanted: bool = False


@dataclass
class Scene:
    """An answer."""

    text: str = ""
    thought: str = ""
    calls: list = field(default_factory=list)
    pause_s: float = 0.0
    prompt_tokens: int = 20
    cached_tokens: int = 8
    output_tokens: int = 12
    thought_tokens: int = 0

    def pieces(self):
        """The text, cut after every blank, so that a stream has several pieces."""
        words = self.text.split(" ")
        return [word + " " for word in words[:-1]] + words[-1:] if self.text else []


@dataclass
class Refusal:
    """An error."""

    status: int
    message: str
    retry_after: str | None = None
    code: str | None = None
    param: str | None = None


REFUSALS = {
    400: Refusal(400, "this is not to be asked", code="mock_refusal", param="messages"),
    401: Refusal(401, "the upstream does not know this key", code="invalid_api_key"),
    403: Refusal(403, "the upstream does not serve this region", code="unsupported_country"),
    404: Refusal(404, "the upstream has no such model", code="model_not_found", param="model"),
    429: Refusal(429, "the upstream wants you to slow down", retry_after="7", code="rate_limit_exceeded"),
    500: Refusal(500, "the upstream fell over"),
    503: Refusal(503, "the upstream is busy", retry_after="3"),
    529: Refusal(529, "the upstream is overloaded"),
}


def play(asked):
    """The scene that a request leads to."""
    if asked.model not in MODELS:
        return REFUSALS[404]
    if asked.tool_result is not None:
        return Scene(text=f"the tool said: {asked.tool_result}")
    command, _, rest = asked.said.strip().partition(" ")
    match command:
        case "error":
            return REFUSALS[int(rest)]
        case "echo":
            return Scene(text=asked.body.decode())
        case "image":
            return Scene(text=" ".join(hashlib.sha256(image).hexdigest() for image in asked.images))
        case "think":
            return Scene(text=f"thought about {rest}", thought=f"let me think about {rest}", thought_tokens=5)
        case "tool" | "tools":
            return Scene(calls=calls(asked, ["Paris"] if command == "tool" else ["Paris", "Oslo"]))
        case "slow":
            return Scene(text=" ".join(["tick"] * SLOW_PIECES), pause_s=SLOW_PAUSE_S)
        case _ if asked.schema is not None:
            return Scene(text=json.dumps(instance(asked.schema, asked.schema)))
        case _:
            return Scene(text=f"heard: {asked.said}")


def calls(asked, cities):
    """One call of the first tool offered for each city."""
    if not asked.tools:
        raise ValueError("no tool was offered")
    return [Call(f"call_{city.lower()}", asked.tools[0], json.dumps({"city": city})) for city in cities]


def instance(schema, root):
    """A value that satisfies a JSON Schema of the kind that clients make from types."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return instance(root.get("$defs", root.get("definitions", {}))[name], root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return instance(schema[choice][0], root)
    match schema.get("type"):
        case "object":
            return {name: instance(inner, root) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return [instance(schema.get("items", {"type": "string"}), root)]
        case "integer":
            return 36
        case "number":
            return 36.5
        case "boolean":
            return True
        case _:
            return "Ada"
